"""The interval of a contestant's advantage over annotators: rho of the alternative annotator test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Floats, cluster_numbers
from scoring.statistics.people.two_way_jackknife import SHARE, Variance, jackknife, like_these, too_few
from scoring.statistics.votes.counts import Integers, numbered
from scoring.statistics.votes.votes import CATEGORIES, Votes


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
