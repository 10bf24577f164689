"""The alternative annotator test: whether the metric could replace an annotator.

Source: Calderon, Reichart and Dror (2025), "The Alternative Annotator Test for LLM-as-a-Judge"; Benjamini and Yekutieli
(2001), "The control of the false discovery rate in multiple testing under dependency".
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from jobs.wording import counted
from scoring.statistics.agreement.agreement import checked_winners
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import ratio
from scoring.statistics.people.two_way_jackknife import SHARE, Variance, jackknife, like_these, too_few
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers, numbered
from scoring.statistics.votes.votes import CATEGORIES, Votes

Contestant = Literal["metric", "always A", "always B", "random"]

LEAST_ANNOTATORS = 3
LEAST_COMPARISONS = 30


@dataclass(frozen=True, slots=True)
class AgainstOne:
    """The contestant against one annotator, each judged by all others.

    advantage: share of comparisons where the contestant is at least as close to the others. p_value: one-sided t-test
    of mean(annotator's win - contestant's win) < tolerance; if all those differences are equal, t does not exist and p
    is 0 or 1. is_replaceable: whether the test rejects after the correction over annotators.
    """

    annotator: str
    comparisons: int
    advantage: float
    p_value: float
    is_constant: bool
    is_replaceable: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """winning_rate: share of annotators that the contestant could replace; advantage: its mean over annotators.

    Both are None if not eligible; `reason` then gives the counts. advantage_interval: the advantage with its interval
    for annotators like these.
    """

    contestant: Contestant
    tolerance: float
    winning_rate: float | None
    advantage: float | None
    annotators: tuple[AgainstOne, ...]
    reason: str = ""
    advantage_interval: Estimate | None = None


def alternative_annotator_test(
    votes: Votes,
    metric: ArrayLike,
    *,
    tolerance: float,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    seed: int,
) -> tuple[Outcome, ...]:
    """The test for the metric, for always naming one model, and for a coin, at the given tolerance and at 0.

    metric: (n,) signs. tolerance: the advantage given to an annotator for being human: .1 crowd, .15 skilled, .2
    expert; fixed before the votes. clusters: (n,) labels or None. seed: of the coin. The false discovery rate over
    annotators is held at 1 - level. If one model wins nearly everything, always naming it passes too, so never read
    one outcome without the others. Eligible are at least 3 annotators with 30 comparisons each that others voted on.

    >>> rows = np.arange(40)
    >>> votes = Votes.of(np.tile(rows, 3), np.repeat([0, 1, 2], 40), np.tile(rows % 2, 3))
    >>> metric, *_ = alternative_annotator_test(votes, 1 - 2 * (rows % 2), tolerance=0.1, seed=1)
    >>> metric.contestant, metric.winning_rate, metric.advantage
    ('metric', 1.0, 1.0)
    """
    its = checked_winners(metric, metric)[0]
    coin = np.random.default_rng(seed).choice((1, -1), size=len(its))
    contestants: dict[Contestant, ArrayLike] = {
        "metric": its,
        "always A": np.ones_like(its),
        "always B": -np.ones_like(its),
        "random": coin,
    }
    who = eligible(votes, comparison_count=len(its))
    names = tuple(map(votes.name, who.tolist()))
    outcomes = []
    for contestant, signs in contestants.items():
        answers = categories(signs)
        duels = _duels(votes, answers, who)
        rho = advantage(votes, answers, who, clusters=clusters, level=level) if len(who) >= LEAST_ANNOTATORS else None
        outcomes += [
            replace(_outcome(duels, names, contestant, epsilon, level), advantage_interval=rho)
            for epsilon in dict.fromkeys((tolerance, 0.0))
        ]
    return tuple(outcomes)


def categories(signs: ArrayLike) -> Integers:
    """Return the categories of votes that name the winners: 0 for A (+1), 1 for B (-1), 2 for a tie (0).

    >>> categories([1, -1, 0]).tolist()
    [0, 1, 2]
    """
    return np.array([0, 2, 1], dtype=np.int64)[1 - np.asarray(signs, dtype=np.int64)]


@dataclass(frozen=True, slots=True, eq=False)
class Duels:
    """The contestant against each annotator, over the comparisons that others voted on as well.

    Each array has a column for each annotator. n: comparisons. wins: of these where the contestant is at least as
    close. balance: the annotator's wins minus the contestant's. unequal: comparisons where only one of them wins.
    """

    n: Integers
    wins: Integers
    balance: Integers
    unequal: Integers

    @property
    def advantage(self) -> Floats:
        """The share of comparisons where the contestant is at least as close."""
        return self.wins / self.n

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        """Whether all differences are equal, so that there is no t."""
        return np.asarray((self.unequal == 0) | (np.abs(self.balance) == self.n))

    def p_values(self, tolerance: float) -> Floats:
        """The p-values of the one-sided t-test of the mean difference (balance / n) against the tolerance."""
        mean = self.balance / self.n
        squared_error = (self.unequal / self.n - mean**2) / (self.n - 1)
        below = ratio(mean - tolerance, np.sqrt(np.where(self.is_constant, 0.0, squared_error)))
        return np.where(self.is_constant, mean >= tolerance, scipy.stats.t.cdf(below, self.n - 1))


def eligible(votes: Votes, *, comparison_count: int) -> Integers:
    """Return the numbers of the annotators with enough comparisons that others voted on as well.

    >>> eligible(Votes.of([0, 0], [0, 1], [0, 1]), comparison_count=1).tolist()
    []
    """
    is_shared = votes.counts(comparison_count).sum(axis=1)[votes.comparison] >= 2
    return np.flatnonzero(np.bincount(votes.annotator[is_shared]) >= LEAST_COMPARISONS).astype(np.int64)


def _outcome(
    duels: Duels, annotators: tuple[str, ...], contestant: Contestant, tolerance: float, level: float
) -> Outcome:
    count = len(annotators)
    if count < LEAST_ANNOTATORS:
        reason = (
            f"not eligible: {counted(count, 'annotator')} with {LEAST_COMPARISONS} comparisons that others voted on, "
        )
        return Outcome(contestant, tolerance, None, None, (), f"{reason}{LEAST_ANNOTATORS} are needed")
    p_values = duels.p_values(tolerance)
    is_replaceable = scipy.stats.false_discovery_control(p_values, method="by") <= 1 - level
    columns = (duels.n, duels.advantage, p_values, duels.is_constant, is_replaceable)
    rows = zip(annotators, *(column.tolist() for column in columns), strict=True)
    against = tuple(AgainstOne(*row) for row in rows)
    return Outcome(contestant, tolerance, float(is_replaceable.mean()), float(duels.advantage.mean()), against)


def _duels(votes: Votes, answers: Integers, who: Integers) -> Duels:
    """The duels of the given annotators. answers: (n,) categories. Shares of the same other votes are compared as
    counts."""
    counts = votes.counts(len(answers))
    answer = answers[votes.comparison]
    with_person = counts[votes.comparison, votes.choice] - 1
    with_contestant = counts[votes.comparison, answer] - (answer == votes.choice)
    is_judged = (counts.sum(axis=1)[votes.comparison] >= 2) & np.isin(votes.annotator, who)
    gap, judged = (with_contestant - with_person)[is_judged], votes.annotator[is_judged]
    n, won, lost = (
        np.bincount(judged, weights=side, minlength=len(who))[who].astype(np.int64)
        for side in (np.ones(len(gap)), gap > 0, gap < 0)
    )
    return Duels(n=n, wins=n - lost, balance=lost - won, unequal=won + lost)


# --- rho and its interval -----------------------------------------------------------------------
def wins(counts: Integers, answers: Integers) -> NDArray[np.bool_]:
    """Whether the contestant is at least as close to the others as an annotator who chose each category: (n, 3).

    counts: (n, 3) votes, the annotator's own among them. answers: (n,) the contestant's categories.

    >>> wins(np.array([[2, 1, 0]]), np.array([0])).tolist()  # against A one other chose A and one chose B
    [[True, True, True]]
    """
    same = answers[:, np.newaxis] == np.arange(CATEGORIES)
    with_contestant = counts[np.arange(len(counts)), answers][:, np.newaxis] - same
    return np.asarray(with_contestant >= counts - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """The votes of eligible annotators on comparisons that others voted on as well.

    comparison, annotator, choice: (v,) annotators numbered from zero up. won: (v,) whether the contestant wins.
    share: (a,) of each annotator's comparisons that the contestant wins. weight: (a,) one over these comparisons.
    """

    comparison: Integers
    annotator: Integers
    choice: Integers
    won: NDArray[np.bool_]
    share: Floats
    weight: Floats


def advantage(
    votes: Votes, answers: ArrayLike, eligible: ArrayLike, *, clusters: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Rho: the share of comparisons on which the contestant is at least as close to the others, mean over annotators.

    answers: (n,) the contestant's categories: 0 for A, 1 for B, 2 for a tie. eligible: numbers of the annotators who
    count; at least one. clusters: (n,) labels or None. The interval is for annotators like these (`two_way_jackknife`),
    with leaving out linearised: without one of an annotator's n comparisons a share moves by (share - win) / n. Without
    an annotator, the shares of all others on the same comparisons change too, as one judge is missing.
    Source of rho: Calderon, Reichart and Dror (2025).

    >>> votes = Votes.of([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 1, 1])
    >>> advantage(votes, [0, 0], [0, 1, 2]).value
    0.5
    """
    its = np.asarray(answers, dtype=np.int64)
    counts = votes.counts(len(its))
    judged = _judged(votes, counts, its, np.asarray(eligible, dtype=np.int64))
    value, labels = float(judged.share.mean()), cluster_numbers(len(its), clusters)
    cluster = numbered(labels[judged.comparison])
    groups = int(cluster.max()) + 1, len(judged.share)
    found = Estimate(value, None, None, level, len(np.unique(judged.comparison)), "none", too_few(*groups))
    return found if found.reason else like_these(found, _variance(judged, counts, its, cluster), *groups, bounds=SHARE)


def _judged(votes: Votes, counts: Integers, answers: Integers, eligible: Integers) -> _Judged:
    is_judged = np.isin(votes.annotator, eligible) & (counts.sum(axis=1)[votes.comparison] >= 2)
    comparison, choice = votes.comparison[is_judged], votes.choice[is_judged]
    annotator = numbered(votes.annotator[is_judged])
    won = wins(counts, answers)[comparison, choice]
    size = np.bincount(annotator)
    return _Judged(comparison, annotator, choice, won, np.bincount(annotator, weights=won) / size, 1 / size)


def _variance(judged: _Judged, counts: Integers, answers: Integers, cluster: Integers) -> Variance:
    """Return the variance of rho. cluster: (v,) numbers from zero up."""
    who, n = judged.annotator, len(judged.share)
    own = (judged.share[who] - judged.won) * judged.weight[who]
    others = _on_others(judged, counts, answers)
    cell = numbered(cluster * n + who)
    without_annotator = np.bincount(who, weights=others) - judged.share
    return Variance(
        clusters=jackknife(np.bincount(cluster, weights=own) / n),
        annotators=jackknife(without_annotator / max(n - 1, 1)),
        votes=jackknife(np.bincount(cell, weights=own + others) / n),
    )


def _on_others(judged: _Judged, counts: Integers, answers: Integers) -> Floats:
    """Return (v,): by how much the sum of the others' shares moves without each vote, which also judged them."""
    place, choice, weight = judged.comparison, judged.choice, judged.weight[judged.annotator]
    shape = counts.shape
    weights = np.bincount(place * CATEGORIES + choice, weights=weight, minlength=counts.size).reshape(shape)
    before = wins(counts, answers).astype(np.float64)
    moved = np.zeros(len(place))
    for removed in range(CATEGORIES):
        turned = wins(counts - np.eye(CATEGORIES, dtype=np.int64)[removed], answers) - before
        mine = choice == removed
        at = place[mine]
        moved[mine] = (weights * turned).sum(axis=1)[at] - weight[mine] * turned[at, removed]
    # With two votes the other annotator has no judge left: the comparison is lost to that share.
    lost = (judged.share[judged.annotator] - judged.won) * weight
    alone = np.bincount(place, weights=lost, minlength=len(counts))[place] - lost
    return np.where(counts.sum(axis=1)[place] == 2, alone, moved)
