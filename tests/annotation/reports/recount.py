"""A study counted again from its CSV files alone, by plain loops and other libraries: nothing here is from the project.

Resampling draws the same clusters as the report (its seed is in the report) and applies the definition to each
resample, written out vote by vote.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import Literal

import krippendorff
import numpy as np
from scipy import optimize, stats

SIGN = {"Alpha": 1, "Beta": -1, "tie": 0}


@dataclass
class Comparison:
    """One prompt: votes as (annotator, sign, model on the left or none), the two scores, the cluster."""

    votes: list[tuple[str, int, str]]
    scores: tuple[float, float]
    cluster: int

    @property
    def signs(self) -> list[int]:
        return [sign for _, sign, _ in self.votes]

    @property
    def people(self) -> int:
        return int(np.sign(sum(self.signs)))

    @property
    def margin(self) -> float:
        return self.scores[0] - self.scores[1]

    @property
    def metric(self) -> int:
        return 0 if abs(self.margin) <= 1e-9 else int(np.sign(self.margin))

    @property
    def counts(self) -> tuple[int, int, int]:
        """Votes for A, for B, for neither."""
        return self.signs.count(1), self.signs.count(-1), self.signs.count(0)


@dataclass
class Recount:
    """The comparisons of a study by prompt, and those with votes in the same order."""

    everything: dict[str, Comparison]
    analysed: list[Comparison] = field(init=False)

    def __post_init__(self) -> None:
        self.analysed = [one for one in self.everything.values() if one.votes]


def read(votes: Path, scores: Path, clusters: dict[str, int]) -> Recount:
    """From the two files that were imported."""
    with scores.open(newline="") as file:
        rows = list(csv.DictReader(file))
    comparisons = {
        row["prompt"]: Comparison([], (float(row["score_a"]), float(row["score_b"])), clusters[row["prompt"]])
        for row in rows
    }
    with votes.open(newline="") as file:
        for row in csv.DictReader(file):
            cast = row["annotator"], SIGN[row["choice"]], row.get("left_model", "")
            comparisons[row["prompt"]].votes.append(cast)
    return Recount(comparisons)


def resampled(
    rows: Sequence[Comparison], statistic: Callable[[Sequence[Comparison]], float], *, resamples: int, seed: int
) -> list[float]:
    """The statistic of each resample of whole clusters."""
    labels = sorted({row.cluster for row in rows})
    members = {label: [row for row in rows if row.cluster == label] for label in labels}
    drawn = np.random.default_rng(seed).integers(0, len(labels), size=(resamples, len(labels)))
    return [statistic([row for place in places for row in members[labels[place]]]) for places in drawn]


# --- agreement ----------------------------------------------------------------------------------
def strict(rows: Sequence[Comparison]) -> float:
    return float(np.mean([row.people == row.metric for row in rows]))


def half(rows: Sequence[Comparison]) -> float:
    return float(
        np.mean(
            [
                1 - abs(row.people - row.metric) / 2
                if 0 in (row.people, row.metric)
                else float(row.people == row.metric)
                for row in rows
            ]
        )
    )


def dropped(rows: Sequence[Comparison]) -> float:
    decided = [row.people == row.metric for row in rows if row.people and row.metric]
    return float(np.mean(decided)) if decided else np.nan


def plurality(row: Comparison) -> int:
    most = max(row.counts)
    return (1, -1, 0)[row.counts.index(most)] if row.counts.count(most) == 1 else 0


def is_clustered(rows: Sequence[Comparison]) -> bool:
    """Whether two of them share a cluster."""
    return len({row.cluster for row in rows}) < len(rows)


def clustered_share(rows: Sequence[Comparison], earned: Sequence[float], method: str) -> tuple[float, float]:
    """Wilson's (or Clopper and Pearson's) interval with the effective number of comparisons and Student's t."""
    n, labels, mean = len(rows), sorted({row.cluster for row in rows}), float(np.mean(earned))
    off = {
        label: sum(e - mean for e, row in zip(earned, rows, strict=True) if row.cluster == label) for label in labels
    }
    sizes = [sum(row.cluster == label for row in rows) for label in labels]
    spread, count = sum((e - mean) ** 2 for e in earned), len(labels)
    effect = (
        count / (count - 1) * sum(one**2 for one in off.values()) / spread
        if spread
        else sum(size**2 for size in sizes) / n
    )
    effective, t = n / max(1.0, effect), float(stats.t.ppf(0.975, count - 1))
    if method == "wilson":
        middle, reach = (
            mean + t**2 / (2 * effective),
            t * (mean * (1 - mean) / effective + t**2 / (4 * effective**2)) ** 0.5,
        )
        return (middle - reach) / (1 + t**2 / effective), (middle + reach) / (1 + t**2 / effective)
    effective *= (stats.norm.ppf(0.975) / t) ** 2
    right = mean * effective
    low = stats.beta.ppf(0.025, right, effective - right + 1) if right else 0.0
    return float(low), float(stats.beta.ppf(0.975, right + 1, effective - right)) if mean < 1 else 1.0


def flipped(rows: Sequence[Comparison], values: Sequence[float]) -> float:
    """The share of all flips of whole clusters whose total is at least as far from zero."""
    sums = [
        sum(value for value, row in zip(values, rows, strict=True) if row.cluster == label)
        for label in sorted({row.cluster for row in rows})
    ]
    totals = [abs(sum(sign * one for sign, one in zip(signs, sums, strict=True))) for signs in _signs(len(sums))]
    return float(np.mean([total >= abs(sum(sums)) - 1e-9 for total in totals]))


def _signs(count: int) -> list[tuple[int, ...]]:
    return list(product((1, -1), repeat=count))


# --- people -------------------------------------------------------------------------------------
def pairwise_agreement(rows: Sequence[Comparison]) -> float:
    shares = [np.mean([a == b for a, b in combinations(row.signs, 2)]) for row in rows if len(row.signs) > 1]
    return float(np.mean(shares)) if shares else np.nan


def pooled_agreement(rows: Sequence[Comparison]) -> float:
    return float(np.mean([a == b for row in rows for a, b in combinations(row.signs, 2)]))


def alpha(
    rows: Sequence[Comparison], level: Literal["nominal", "ordinal"] = "nominal", *, with_ties: bool = True
) -> float:
    order = (1, 0, -1) if with_ties else (1, -1)
    counts = np.array([[row.signs.count(sign) for sign in order] for row in rows])
    counts = counts[counts.sum(axis=1) > 0]
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement=level))


def chance_corrected(rows: Sequence[Comparison], kind: str, q: int) -> float:
    """Gwet's AC1 or Brennan and Prediger's coefficient."""
    observed = pairwise_agreement(rows)
    shares = [np.mean([[sign == one for one in (1, -1, 0)] for sign in row.signs], axis=0) for row in rows]
    pi = np.mean(shares, axis=0)
    by_chance = sum(p * (1 - p) for p in pi) / (q - 1) if kind == "ac1" else 1 / q
    return float((observed - by_chance) / (1 - by_chance))


def left_out(rows: Sequence[Comparison], who: str, *, by_vote: bool = False) -> float:
    """Each vote, or the metric in its place, against the winner of the other votes."""
    means, single = [], []
    for row in rows:
        own = []
        for place, sign in enumerate(row.signs):
            others = row.signs[:place] + row.signs[place + 1 :]
            if others:
                answer = sign if who == "people" else row.metric
                own.append(1 - abs(answer - int(np.sign(sum(others)))) / 2)
        if own:
            means.append(np.mean(own))
            single += own
    return float(np.mean(single if by_vote else means))


def alternative_annotator(rows: Sequence[Comparison], name: str) -> tuple[list[float], list[float]]:
    """The metric against one annotator: wins of either, comparison by comparison."""
    wins_of_metric, wins_of_person = [], []
    for row in rows:
        mine = [sign for who, sign, _ in row.votes if who == name]
        others = [sign for who, sign, _ in row.votes if who != name]
        if mine and others:
            near_metric = np.mean([sign == row.metric for sign in others])
            near_person = np.mean([sign == mine[0] for sign in others])
            wins_of_metric.append(float(near_metric >= near_person))
            wins_of_person.append(float(near_person >= near_metric))
    return wins_of_metric, wins_of_person


def without(rows: Sequence[Comparison], name: str) -> list[Comparison]:
    """The comparisons as if an annotator had never voted."""
    left = [Comparison([vote for vote in row.votes if vote[0] != name], row.scores, row.cluster) for row in rows]
    return [row for row in left if row.votes]


def dawid_skene(rows: Sequence[Comparison], *, ties: bool, learn: bool) -> list[int]:
    """Winners by expectation and maximisation, with dictionaries and loops; pseudo-counts 4 and 1."""
    classes = (1, -1, 0) if ties else (1, -1)
    belief = [{c: row.signs.count(c) / len(row.signs) for c in classes} for row in rows]
    prior = dict.fromkeys(classes, 1 / len(classes))
    before = -np.inf
    for _ in range(1000):
        seen: dict[str, dict[int, dict[int, float]]] = {}
        for row, believed in zip(rows, belief, strict=True):
            for who, sign, _ in row.votes:
                fresh = {c: {v: 4.0 if c == v else 1.0 for v in classes} for c in classes}
                table = seen.setdefault(who, fresh)
                for c in classes:
                    table[c][sign] += believed[c]
        skill = {
            who: {c: {v: n / sum(counts.values()) for v, n in counts.items()} for c, counts in table.items()}
            for who, table in seen.items()
        }
        if learn:
            prior = {c: float(np.mean([believed[c] for believed in belief])) for c in classes}
        height, belief = 0.0, []
        for row in rows:
            joint = {c: np.log(prior[c]) + sum(np.log(skill[w][c][s]) for w, s, _ in row.votes) for c in classes}
            total = float(np.logaddexp.reduce(list(joint.values())))
            belief.append({c: float(np.exp(value - total)) for c, value in joint.items()})
            height += total
        height += sum(
            (4 if c == v else 1) * np.log(p) for t in skill.values() for c, cells in t.items() for v, p in cells.items()
        )
        if abs(height - before) < 1e-10:
            break
        before = height
    best = [sorted(believed.items(), key=lambda item: -item[1]) for believed in belief]
    return [0 if first[1] - second[1] < 1e-9 else first[0] for first, second, *_ in best]


# --- scores, margins, fragility -----------------------------------------------------------------
def rank_biserial(rows: Sequence[Comparison]) -> float:
    """Over pairs: each two comparisons' Walsh average, and each comparison with itself, by its sign."""
    differences = np.array([row.margin for row in rows if row.metric])
    sums = np.sign(np.add.outer(differences, differences))[np.triu_indices(len(differences))]
    return float(sums.mean()) if len(sums) else np.nan


def auc(rows: Sequence[Comparison]) -> float:
    right = [abs(row.margin) for row in rows if row.people == row.metric]
    wrong = [abs(row.margin) for row in rows if row.people != row.metric]
    if not right or not wrong:
        return np.nan
    return float(np.mean([(r > w) + (r == w) / 2 for r in right for w in wrong]))


def accuracy_with_threshold(rows: Sequence[Comparison], threshold: float) -> float:
    named = [0 if abs(row.margin) <= max(threshold, 1e-9) else row.metric for row in rows]
    return float(np.mean([row.people == name for row, name in zip(rows, named, strict=True)]))


def best_threshold(rows: Sequence[Comparison]) -> float:
    candidates = sorted({0.0, *(abs(row.margin) for row in rows if row.metric)})
    return max(candidates, key=lambda one: (accuracy_with_threshold(rows, one), -one))


def held_out(rows: Sequence[Comparison], seed: int) -> float:
    """Ten folds of clusters, each judged by the threshold of the others."""
    labels = sorted({row.cluster for row in rows})
    fold = dict(zip(labels, np.random.default_rng(seed).permutation(len(labels)) % 10, strict=True))
    right = 0.0
    for number in set(fold.values()):
        test = [row for row in rows if fold[row.cluster] == number]
        rest = [row for row in rows if fold[row.cluster] != number]
        right += accuracy_with_threshold(test, best_threshold(rest)) * len(test)
    return right / len(rows)


def votes_to_swing(rows: Sequence[Comparison], swing: int) -> int | None:
    """Fewest votes whose removal moves the lead by `swing`, as an integer program over what to make of each row."""
    leader = int(np.sign(sum(row.people for row in rows)))
    costs, gains, owners = [], [], []
    for place, row in enumerate(rows):
        own, against = row.signs.count(leader), row.signs.count(-leader)
        if own > against:
            options = [(own - against, 1)] + ([(own - against + 1, 2)] if against else [])
        else:
            options = [(1, 1)] if own == against and own else []
        for cost, gain in options:
            costs.append(cost)
            gains.append(gain)
            owners.append(place)
    once = np.array([[owner == place for owner in owners] for place in range(len(rows))], dtype=float)
    found = optimize.milp(
        costs,
        constraints=[
            optimize.LinearConstraint(np.array([gains]), swing, np.inf),
            optimize.LinearConstraint(once, 0, 1),
        ],
        integrality=np.ones(len(costs), dtype=int),
        bounds=optimize.Bounds(0, 1),
    )
    return round(found.fun) if found.success else None


def votes_below(rows: Sequence[Comparison], target: float) -> int | None:
    """Fewest votes whose removal brings the strict agreement below the target, the cheapest comparison first."""
    costs = sorted(
        1 if row.people == 0 else abs(sum(row.signs)) for row in rows if row.people == row.metric and any(row.signs)
    )
    right, spent = sum(row.people == row.metric for row in rows), 0
    if right / len(rows) < target - 1e-12:
        return None
    for cost in costs:
        right, spent = right - 1, spent + cost
        if right / len(rows) < target - 1e-12:
            return spent
    return None
