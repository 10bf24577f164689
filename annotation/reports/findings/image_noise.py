"""How sure the scores are that rest on N images a set, and how many images would have been enough. Pure."""

from dataclasses import dataclass, replace

import numpy as np

from annotation.reports.data.study_data import Similarities, StudyData
from annotation.reports.findings.analysed import Analysed, within_budget
from scoring.statistics.agreement import Signs
from scoring.statistics.estimate import Estimate
from scoring.statistics.image_count import AtImages, ScoreAtImages, agreement_by_images, scores_by_images
from scoring.statistics.intervals import Floats, Resampling
from scoring.statistics.seed_noise import CLEAR, agreement_where_clear, seed_noise

NOISE_BUDGET = 400_000_000  # resamples times pairs of images, all comparisons together
SUBSET_BUDGET = 2_000_000_000  # subsets times pairs of images, all comparisons and numbers of images together
_MOST_SUBSETS = 500  # percentiles of a spread, not of an interval that a claim rests on


@dataclass(frozen=True, slots=True)
class NoisyMargin:
    """One comparison under resampled seeds. flip: the share of resamples that name another winner."""

    position: int
    margin: Estimate
    flip: float | None
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class ImageNoise:
    """What the scores owe to the N images that there happen to be.

    images: N, None where there are none. comparisons: those analysed whose images could be resampled. doubtful: of
    these, those that other seeds could well have turned, flip above .05. agreement_where_clear: strict, without them.
    margins: one row a comparison. by_images, scores_a, scores_b: with 2, 3, … N of the images. reason: why nothing is
    there.
    """

    images: int | None
    comparisons: int
    doubtful: int | None
    agreement_where_clear: Estimate
    margins: tuple[NoisyMargin, ...]
    by_images: tuple[AtImages, ...]
    scores_a: tuple[ScoreAtImages, ...]
    scores_b: tuple[ScoreAtImages, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class FewerImages:
    """With 2, 3, … N of the images: agreement and winners, and each model's scores."""

    by_images: tuple[AtImages, ...]
    scores_a: tuple[ScoreAtImages, ...]
    scores_b: tuple[ScoreAtImages, ...]


def fewer_images(people: Signs, a: Floats, b: Floats, *, resampling: Resampling, share: float = 1.0) -> FewerImages:
    """Draw smaller sets of the images of m comparisons. people: (m,) winners. a, b: (m, N, N) similarities.

    share: of the budget of subsets, where several metrics are looked at.
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


def image_noise(data: StudyData, kept: Analysed, *, resampling: Resampling) -> ImageNoise:
    """Resample the images of each comparison, and draw smaller sets of them."""
    similarities = data.similarities or Similarities.none("sealed")
    _, ours, theirs = np.intersect1d(kept.place, similarities.comparison, return_indices=True)
    if not len(ours):
        reason = similarities.reason or "no comparison has votes, scores and embedded images"
        undefined = Estimate.undefined(reason, n=0, level=resampling.level, method="Wilson")
        return ImageNoise(None, 0, None, undefined, (), (), (), (), reason)
    a, b = similarities.a[theirs], similarities.b[theirs]
    images = a.shape[1]
    budgeted = within_budget(resampling, numbers=len(a) * images**2, budget=NOISE_BUDGET)
    noise = [seed_noise(of_a, of_b, resampling=budgeted) for of_a, of_b in zip(a, b, strict=True)]
    flips = np.array([np.nan if row.flip is None else row.flip for row in noise])
    known = ~np.isnan(flips)
    fewer = fewer_images(kept.people[ours], a, b, resampling=resampling)
    positions = data.comparisons.position[kept.place[ours]] + 1
    return ImageNoise(
        images=images,
        comparisons=len(a),
        doubtful=int((flips[known] > CLEAR).sum()),
        agreement_where_clear=agreement_where_clear(
            kept.people[ours][known], kept.metric[ours][known], flips[known], level=resampling.level
        ),
        margins=tuple(
            NoisyMargin(int(position), row.margin, row.flip, row.standard_error)
            for position, row in zip(positions, noise, strict=True)
        ),
        by_images=fewer.by_images,
        scores_a=fewer.scores_a,
        scores_b=fewer.scores_b,
        reason="",
    )
