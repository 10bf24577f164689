"""The pairs of models that a study compares, and its comparisons in their order; pure.

A comparison has two sides, A and B. Of a pair, the model that comes first in the study file is side A.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from operator import itemgetter
from random import Random
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from annotation.studies.section import Parts, Section

MODEL_KEY = r"^[a-z][a-z0-9_-]*$"
LONGEST_KEY = 50
MOST_MODELS = 30
MOST_TRIES = 1000
DRAWS_OF_A_PROMPT = 20
ModelKey = Annotated[str, StringConstraints(pattern=MODEL_KEY, max_length=LONGEST_KEY)]
Pair = tuple[str, str]


class PairsPlan(Section):
    """The pairs of models to compare on each prompt: all, those of a list, or a balanced draw of a wanted size."""

    design: Literal["all", "balanced"] = "all"
    list: tuple[tuple[ModelKey, ModelKey], ...] = Field(default=(), max_length=2000)
    comparisons: int | None = Field(default=None, ge=1, le=10_000_000)
    per_prompt: int | None = Field(default=None, ge=1, le=10_000)
    seed: int | None = Field(default=None, ge=0, lt=2**63)

    def total(self, *, models: int, prompts: int) -> int:
        """Return the number of comparisons of a study with so many models and prompts."""
        if self.design == "all":
            return prompts * (len(self.list) or models * (models - 1) // 2)
        return self.comparisons or prompts * (self.per_prompt or 0)


def planned_count(parts: Parts) -> int:
    """Return how many comparisons are planned; 0 if the sections that say so are not valid."""
    if not {"models", "pairs", "prompts"} <= parts.keys():
        return 0
    plan: PairsPlan = parts["pairs"]
    return plan.total(models=len(parts["models"]), prompts=len(parts["prompts"]))


class PlannedComparison(NamedTuple):
    """A comparison: the prompt's place in the manifest, from 0, and the keys of the models on its two sides."""

    prompt: int
    model_a: str
    model_b: str


def drawn_seed(slug: str) -> int:
    """Return the seed of a balanced design whose file has none: the first four bytes of SHA-256("pairs of <slug>").

    It follows from the slug, so that one file gives one study.
    """
    return int.from_bytes(hashlib.sha256(f"pairs of {slug}".encode()).digest()[:4], "big")


@lru_cache(maxsize=64)
def planned_comparisons(models: tuple[str, ...], prompts: int, plan: PairsPlan) -> tuple[PlannedComparison, ...]:
    """Return the comparisons of a study in their order: prompt by prompt, and within a prompt by the order of models.

    models: the keys in the order of the study file. prompts: their number.

    >>> [tuple(one) for one in planned_comparisons(("a", "b", "c"), 1, PairsPlan())]
    [(0, 'a', 'b'), (0, 'a', 'c'), (0, 'b', 'c')]
    """
    place = {key: number for number, key in enumerate(models)}
    if plan.design == "balanced":
        sizes = _sizes(plan.total(models=len(models), prompts=prompts), prompts, Random(f"sizes/{plan.seed}"))  # noqa: S311
        designs = balanced_pairs(len(models), sizes, seed=plan.seed or 0)
    elif plan.list:
        listed = sorted((min(pair), max(pair)) for pair in ((place[one], place[other]) for one, other in plan.list))
        designs = [listed] * prompts
    else:
        designs = [list(combinations(range(len(models)), 2))] * prompts
    return tuple(
        PlannedComparison(prompt, models[first], models[second])
        for prompt, pairs in enumerate(designs)
        for first, second in pairs
    )


@lru_cache(maxsize=64)
def pairs_of(models: tuple[str, ...], prompts: int, plan: PairsPlan) -> tuple[Pair, ...]:
    """Return the pairs of models that are compared at all, in the order of the study file."""
    place = {key: number for number, key in enumerate(models)}
    found = {(one.model_a, one.model_b) for one in planned_comparisons(models, prompts, plan)}
    return tuple(sorted(found, key=lambda pair: (place[pair[0]], place[pair[1]])))


def unlinked(models: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    """Return the models that no chain of pairs links with the first one: nothing would compare them with it.

    >>> unlinked(["a", "b", "c", "d"], [("a", "b"), ("c", "d")])
    ['c', 'd']
    """
    linked, before = {models[0]}, 0
    while len(linked) > before:
        before = len(linked)
        linked |= {key for pair in pairs if linked.intersection(pair) for key in pair}
    return [key for key in models if key not in linked]


# --- the balanced design ------------------------------------------------------------------------
def balanced_pairs(models: int, sizes: Sequence[int], *, seed: int) -> list[list[tuple[int, int]]]:
    """Return the pairs of models, by place, that each prompt gets; drawn from the seed.

    Over all prompts the appearances of models, and the numbers of comparisons of pairs, are within one of each other,
    no prompt has a pair twice, and the pairs link every model with every other. Within a prompt the appearances of
    models are as even as DRAWS_OF_A_PROMPT draws of each prompt make them.

    sizes: the number of comparisons of each prompt, at least models - 1 in all, and at most the number of pairs each.

    >>> balanced_pairs(3, [1, 1, 1], seed=0)
    [[(1, 2)], [(0, 1)], [(0, 2)]]
    """
    chance = Random(f"pairs/{seed}")  # noqa: S311 - a design, no secret
    everyone = list(combinations(range(models), 2))
    rounds, rest = divmod(sum(sizes), len(everyone))
    left = Counter(dict.fromkeys(everyone, rounds))
    left.update(_even_graph(models, rest, chance, is_linked=rounds == 0))
    return [_of_prompt(left, size, chance) for size in sizes]


def _sizes(total: int, prompts: int, chance: Random) -> list[int]:
    """Return how many comparisons each prompt has: within one of each other, the larger ones at random."""
    each, rest = divmod(total, prompts)
    larger = set(chance.sample(range(prompts), rest))
    return [each + (prompt in larger) for prompt in range(prompts)]


def _even_graph(models: int, edges: int, chance: Random, *, is_linked: bool) -> list[tuple[int, int]]:
    """Return different pairs of models in which the appearances of models are within one of each other.

    is_linked: whether the pairs must link all models. A greedy draw seldom misses; then it is drawn again.
    """
    for _try in range(MOST_TRIES):
        order = chance.sample(range(models), models)
        chain = [(min(pair), max(pair)) for pair in pairwise(order)]
        taken = chain if is_linked else []
        appearances = Counter(place for pair in taken for place in pair)
        free = [pair for pair in combinations(range(models), 2) if pair not in set(taken)]
        while len(taken) < edges:
            pair = _least(free, appearances, chance)
            free.remove(pair)
            taken.append(pair)
            appearances.update(pair)
        counts = [appearances[place] for place in range(models)]
        if max(counts) - min(counts) <= 1:
            return taken
    raise AssertionError(f"no even design of {edges} pairs of {models} models")


def _of_prompt(left: Counter[tuple[int, int]], size: int, chance: Random) -> list[tuple[int, int]]:
    """Take the pairs of one prompt out of those that are left: the most even of some draws."""
    draws = (_drawn(left, size, chance) for _draw in range(DRAWS_OF_A_PROMPT))
    taken, evenness = next(draws)
    while evenness > 1 and (another := next(draws, None)):
        taken, evenness = min((taken, evenness), another, key=itemgetter(1))
    left.subtract(taken)
    return sorted(taken)


def _drawn(left: Counter[tuple[int, int]], size: int, chance: Random) -> tuple[list[tuple[int, int]], int]:
    """Draw the pairs of one prompt, first those of which most are left; return also how far appearances differ.

    So the numbers that are left stay within one of each other, and the prompts behind can take all of them.
    """
    appearances = Counter({place: 0 for pair in left for place in pair})
    taken: list[tuple[int, int]] = []
    for _number in range(size):
        most = max(count for pair, count in left.items() if pair not in taken)
        first = [pair for pair, count in left.items() if count == most and pair not in taken]
        pair = _least(first, appearances, chance)
        appearances.update(pair)
        taken.append(pair)
    return taken, max(appearances.values()) - min(appearances.values())


def _least(pairs: Sequence[tuple[int, int]], appearances: Counter[int], chance: Random) -> tuple[int, int]:
    """Return one of the pairs whose models appear least so far, at random."""

    def key(pair: tuple[int, int]) -> tuple[int, int]:
        counts = (appearances[pair[0]], appearances[pair[1]])
        return max(counts), sum(counts)

    least = min(map(key, pairs))
    return chance.choice([pair for pair in pairs if key(pair) == least])
