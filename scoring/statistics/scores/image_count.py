"""The number of images that each set needs: the scores and the agreement of random subsets of its images."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import Signs, checked_winners, metric_winners
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Resampling, percentile_estimate
from scoring.statistics.votes.counts import Floats

_NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class AtImages:
    """The results of subsets with a given number of images: the mean, and the variation between subsets.

    agreement: strict, with people. same_winner: share of comparisons with the same winner as with all images. Their
    bounds are percentiles over subsets: the results that a study with so few of these images could have had. All
    subsets come from the same images, so the bounds say nothing about other prompts, and narrow as subsets grow.
    """

    images: int
    agreement: Estimate
    same_winner: Estimate


@dataclass(frozen=True, slots=True)
class ScoreAtImages:
    """The scores of one model's sets from subsets with a given number of images.

    score: mean over sets; its bounds are percentiles over subsets. The mean over all subsets is the score itself for
    any number of images: fewer images only cost certainty. set_error: the difference between a set's score and its
    score with all images, root mean square over sets and subsets, in points.
    """

    images: int
    score: Estimate
    set_error: float


def scores_by_images(similarities: ArrayLike, *, resampling: Resampling) -> tuple[ScoreAtImages, ...]:
    """Draw subsets of 2, 3, … N seeds without replacement, the same for all sets.

    similarities: (n, N, N) as `scoring.consistency.pairwise_similarities` gives them, row i from the same seed in all
    n sets. Returns one row for each number of images from 2 to N; `resampling.resamples` subsets each, with the same
    seeds as in `agreement_by_images`, so that both use the same subsets. Raises ValueError for another shape.

    >>> alike = 80 * (1 - np.eye(3))[np.newaxis]
    >>> [row.score.value for row in scores_by_images(alike, resampling=Resampling(resamples=20))]
    [80.0, 80.0]
    """
    pairs = np.asarray(similarities, dtype=np.float64)
    if pairs.ndim != 3 or pairs.shape[1] != pairs.shape[2]:
        raise ValueError(f"similarities are square matrices, one for each set, not {pairs.shape}")
    if not len(pairs):
        return ()
    seeds = pairs.shape[1]
    whole = _means(pairs, np.ones((1, seeds)))[0]
    rng = np.random.default_rng(resampling.seed)
    return tuple(
        _score_at(whole, _means(pairs, _subsets(rng, seeds, images, resampling)), images, resampling)
        for images in range(2, seeds + 1)
    )


def _score_at(whole: Floats, scores: Floats, images: int, resampling: Resampling) -> ScoreAtImages:
    return ScoreAtImages(
        images=images,
        score=_over_subsets(scores.mean(axis=1), len(whole), resampling),
        set_error=float(np.sqrt(((scores - whole) ** 2).mean())),
    )


def agreement_by_images(
    people: ArrayLike, margins_of_pairs: ArrayLike, *, resampling: Resampling
) -> tuple[AtImages, ...]:
    """Draw subsets of 2, 3, … N seeds without replacement, the same for both models and all comparisons.

    people: (n,) signs. margins_of_pairs: (n, N, N), similarity of images i and j of A minus that of B, as
    `scoring.consistency.pairwise_similarities` gives them, row i from the same seed everywhere.
    Returns one row for each number of images from 2 to N; `resampling.resamples` subsets each, seeded.
    Raises ValueError for arrays that do not fit.

    >>> gap = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * np.array([1.0, -1.0])[:, np.newaxis, np.newaxis]
    >>> [row.agreement.value for row in agreement_by_images([1, 1], gap, resampling=Resampling(resamples=20))]
    [0.5, 0.5]
    """
    theirs, _ = checked_winners(people, people)
    between = np.asarray(margins_of_pairs, dtype=np.float64)
    if between.ndim != 3 or len(between) != len(theirs) or between.shape[1] != between.shape[2]:
        raise ValueError(f"{len(theirs)} comparisons need as many square matrices of pairs, not {between.shape}")
    if not len(theirs):
        return ()
    seeds = between.shape[1]
    whole = _winners(between, np.ones((1, seeds)))[0]
    rng = np.random.default_rng(resampling.seed)
    return tuple(
        _at_images(theirs, whole, _winners(between, _subsets(rng, seeds, images, resampling)), images, resampling)
        for images in range(2, seeds + 1)
    )


def _subsets(rng: np.random.Generator, seeds: int, images: int, resampling: Resampling) -> Floats:
    """(resamples, seeds) of zeros and ones."""
    chosen = rng.random((resampling.resamples, seeds)).argsort(axis=1) < images
    return chosen.astype(np.float64)


def _winners(between: Floats, subsets: Floats) -> Signs:
    """(subsets, n) winners by the mean over the pairs inside each subset."""
    means = _means(between, subsets)
    return metric_winners(means.ravel()).reshape(means.shape)


def _means(between: Floats, subsets: Floats) -> Floats:
    """(subsets, n) means over the pairs inside each subset."""
    pairs = subsets.sum(axis=1) * (subsets.sum(axis=1) - 1)
    columns = [_sums_of_pairs(block, subsets) / pairs[:, np.newaxis] for block in _blocks(between, len(subsets))]
    return np.concatenate(columns, axis=1)


def _blocks(between: Floats, subsets: int) -> Iterator[Floats]:
    most = max(1, _NUMBERS_AT_ONCE // (subsets * between.shape[1]))
    for start in range(0, len(between), most):
        yield between[start : start + most]


def _sums_of_pairs(between: Floats, subsets: Floats) -> Floats:
    """Sum over the pairs inside each subset, by one matrix product: (subsets, comparisons)."""
    comparisons, seeds, _ = between.shape
    rows = (subsets @ between.transpose(1, 0, 2).reshape(seeds, comparisons * seeds)).reshape(-1, comparisons, seeds)
    sums: Floats = np.einsum("bcs,bs->bc", rows, subsets)
    return sums


def _at_images(people: Signs, whole: Signs, winners: Signs, images: int, resampling: Resampling) -> AtImages:
    return AtImages(
        images=images,
        agreement=_over_subsets((winners == people).mean(axis=1), len(people), resampling),
        same_winner=_over_subsets((winners == whole).mean(axis=1), len(people), resampling),
    )


def _over_subsets(shares: Floats, n: int, resampling: Resampling) -> Estimate:
    spread = percentile_estimate(float(shares.mean()), shares, n=n, resampling=resampling)
    method = f"percentiles over {resampling.resamples} subsets of the images, seed {resampling.seed}"
    return replace(spread, method=method, reason="all subsets equal" if spread.reason else "")
