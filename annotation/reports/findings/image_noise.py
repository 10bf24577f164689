"""How sure scores from N images in each set are, and how many images would have been enough. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed
from annotation.reports.findings.budgets import fewer_images, within_budget
from scoring.statistics.estimate import Estimate
from scoring.statistics.image_count import AtImages, ScoreAtImages
from scoring.statistics.seed_noise import CLEAR, agreement_where_clear, seed_noise

NOISE_BUDGET = 400_000_000  # resamples times pairs of images, all comparisons together


@dataclass(frozen=True, slots=True)
class NoisyMargin:
    """One comparison under resampled seeds. flip: the share of resamples that name another winner."""

    position: int
    margin: Estimate
    flip: float | None
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class ImageNoise:
    """How much the scores depend on which N images there are.

    images: N, None if there are none. comparisons: those analysed whose images could be resampled. doubtful: of
    these, those that other seeds could well have turned, flip above .05. agreement_where_clear: strict, without them.
    margins: one row for each comparison. by_images, scores_a, scores_b: with 2, 3, … N of the images. reason: why all
    of it is missing.
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


def compute(analysed: Analysed) -> ImageNoise:
    """Resample the images of each comparison, and draw smaller sets of them."""
    similarities, resampling = analysed.data.similarities, analysed.resampling
    _, ours, theirs = np.intersect1d(analysed.place, similarities.comparison, return_indices=True)
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
    people, metric = analysed.people[ours], analysed.metric[ours]
    fewer = fewer_images(people, a, b, resampling=resampling)
    positions = analysed.data.comparisons.position[analysed.place[ours]] + 1
    return ImageNoise(
        images=images,
        comparisons=len(a),
        doubtful=int((flips[known] > CLEAR).sum()),
        agreement_where_clear=agreement_where_clear(people[known], metric[known], flips[known], level=resampling.level),
        margins=tuple(
            NoisyMargin(int(position), row.margin, row.flip, row.standard_error)
            for position, row in zip(positions, noise, strict=True)
        ),
        by_images=fewer.by_images,
        scores_a=fewer.scores_a,
        scores_b=fewer.scores_b,
        reason="",
    )
