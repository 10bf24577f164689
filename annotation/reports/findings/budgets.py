"""Fewer resamples for findings that cannot work on counts per comparison, so that a large study's report stays quick.

Pure. The method of each estimate says how many resamples there were.
"""

from dataclasses import dataclass, replace

from scoring.statistics.agreement.agreement import Signs
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.scores.image_count import AtImages, ScoreAtImages, agreement_by_images, scores_by_images
from scoring.statistics.votes.counts import Floats

SUBSET_BUDGET = 2_000_000_000  # subsets times pairs of images, all comparisons and numbers of images together
_MOST_SUBSETS = 500  # percentiles of a spread, not of an interval that a claim rests on
_FEWEST_RESAMPLES = 100


def within_budget(resampling: Resampling, *, numbers: int, budget: int) -> Resampling:
    """Return a resampling that fits the budget if each resample takes `numbers` numbers; at least 100 resamples."""
    affordable = max(_FEWEST_RESAMPLES, budget // max(1, numbers))
    return replace(resampling, resamples=min(resampling.resamples, affordable))


@dataclass(frozen=True, slots=True)
class FewerImages:
    """Agreement and winners, and each model's scores, with 2, 3, … N of the images."""

    by_images: tuple[AtImages, ...]
    scores_a: tuple[ScoreAtImages, ...]
    scores_b: tuple[ScoreAtImages, ...]


def fewer_images(people: Signs, a: Floats, b: Floats, *, resampling: Resampling, share: float = 1.0) -> FewerImages:
    """Draw smaller sets of the images of m comparisons. people: (m,) winners. a, b: (m, N, N) similarities.

    share: of the budget of subsets, if several metrics are looked at.
    """
    subsets = within_budget(
        replace(resampling, resamples=min(resampling.resamples, _MOST_SUBSETS)),
        numbers=len(a) * a.shape[1] ** 3,
        budget=int(share * SUBSET_BUDGET),
    )
    return FewerImages(
        agreement_by_images(people, a - b, resampling=subsets),
        scores_by_images(a, resampling=subsets),
        scores_by_images(b, resampling=subsets),
    )
