"""Faults between the models of a study and the pairs of them that it compares; pure. See `faults_between`."""

from collections.abc import Iterator
from typing import Any

from annotation.studies.pairs import PairsPlan
from annotation.studies.section import Fault, Parts
from jobs.wording import counted

OF_BALANCED = ("comparisons", "per_prompt", "seed")


def pair_faults(parts: Parts) -> Iterator[Fault]:
    """Yield the faults of the number of models, of the pairs, and of settings that only fit two models."""
    models = parts.get("models", {})
    for key in [key for key in ("a", "b") if key not in models][: max(0, 2 - len(models))]:
        yield Fault(("models", key), "is missing: a study compares two models or more, each in a table of its own.")
    if "pairs" in parts and len(models) > 1:
        plan: PairsPlan = parts["pairs"]
        yield from _listed(plan, list(models))
        yield from _balanced(plan, len(models), len(parts.get("prompts", ())))
    yield from _only_of_two(parts, len(models))
    yield from _uncertain_pairs(parts, len(models))


def _listed(plan: PairsPlan, models: list[str]) -> Iterator[Fault]:
    first_at: dict[frozenset[str], int] = {}
    for index, pair in enumerate(plan.list):
        key = ("pairs", "list", index)
        for name in pair:
            if name not in models:
                yield Fault(key, f'"{name}" is not a model of this study ({", ".join(models)}).')
        if pair[0] == pair[1]:
            yield Fault(key, f'compares "{pair[0]}" with itself; name two models.')
        elif (earlier := first_at.setdefault(frozenset(pair), index)) != index:
            yield Fault(key, f"is already pair {earlier + 1}; each pair may occur once.")
    absent = [name for name in models if not any(name in pair for pair in plan.list)]
    if plan.list and absent:
        yield Fault(("pairs", "list"), f"has no pair with {', '.join(absent)}; give one, or leave the model out.")


def _balanced(plan: PairsPlan, models: int, prompts: int) -> Iterator[Fault]:
    given = [name for name in OF_BALANCED if getattr(plan, name) is not None]
    if plan.design != "balanced":
        for name in given:
            yield Fault(("pairs", name), 'belongs to design = "balanced"; leave it out, or give the design too.')
        return
    if plan.list:
        yield Fault(("pairs", "list"), 'names the pairs, and design = "balanced" draws them; leave one of them out.')
    if (plan.comparisons is None) == (plan.per_prompt is None):
        sentence = "a balanced design needs either comparisons or per_prompt, one of the two."
        yield Fault(("pairs", "design"), sentence)
    elif plan.seed is None:
        yield Fault(("pairs", "seed"), "is missing: the pairs are drawn from it.")
    elif prompts:
        yield from _size(plan, models, prompts)


def _size(plan: PairsPlan, models: int, prompts: int) -> Iterator[Fault]:
    """The size of a balanced design."""
    pairs, total = models * (models - 1) // 2, plan.total(models=models, prompts=prompts)
    name = "per_prompt" if plan.comparisons is None else "comparisons"
    most = pairs * (1 if plan.comparisons is None else prompts)
    least = max(1 if plan.comparisons is None else prompts, models - 1 if plan.comparisons else 1)
    value = getattr(plan, name)
    if value > most:
        all_of_them = f"{counted(pairs, 'pair')} of models" + ("" if name == "per_prompt" else " for each prompt")
        yield Fault(("pairs", name), f"is {value}, but there are {all_of_them}: give at most {most}.")
    elif value < least or total < models - 1:
        sentence = f"is {value}, too few to give each prompt a comparison and to link {counted(models, 'model')}"
        yield Fault(("pairs", name), f"{sentence}; give at least {max(least, -(-(models - 1) // prompts))}.")


def _only_of_two(parts: Parts, models: int) -> Iterator[Fault]:
    """Settings about a claim that names one of two models."""
    if models < 3:
        return
    settings: tuple[tuple[str, str, str], ...] = (
        ("annotation", "stop_when_decided", "stops by a claim about two models"),
        ("analysis", "constant_choice", "names a model of a study of two"),
    )
    for section, name, why in settings:
        values: Any = parts.get(section)
        if values and getattr(values, name):
            yield Fault((section, name), f"{why}, and this study has {models}; leave it out.")


def _uncertain_pairs(parts: Parts, models: int) -> Iterator[Fault]:
    plan = parts.get("annotation")
    if plan is None:
        return
    if plan.allocation != "uncertain_pairs":
        if plan.floor:
            yield Fault(("annotation", "floor"), 'belongs to allocation = "uncertain_pairs"; leave it out.')
        return
    if models == 2:
        yield Fault(("annotation", "allocation"), "prefers some pairs of models, and this study has one; leave it out.")
    if not 1 <= (plan.floor or 0) < plan.overlap:
        yield Fault(
            ("annotation", "floor"),
            "the ranking rests on the first votes of each comparison, as many as floor says: give a number from 1 to "
            f"{plan.overlap - 1}, less than the overlap."
            if plan.overlap > 1
            else "must be at least 1 and less than the overlap, which is 1; raise the overlap.",
        )
    if plan.early_stopping:
        yield Fault(
            ("annotation", "early_stopping"),
            'cannot stand beside allocation = "uncertain_pairs"; leave one of them out.',
        )
