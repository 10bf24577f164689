"""The precision of scores from N images in each set, and the number of images that would have been enough. Pure."""

from dataclasses import dataclass, replace

import numpy as np

from annotation.reports.data.study_data import OTHER, SAME
from annotation.reports.findings.analysed import Analysed
from annotation.reports.findings.budgets import fewer_images, within_budget
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Resampling, wilson
from scoring.statistics.scores.image_count import AtImages, ScoreAtImages
from scoring.statistics.scores.seed_noise import (
    CLEAR,
    FEWEST_COMPARISONS,
    FreshSeeds,
    SeedNoise,
    agreement_where_clear,
    agreement_with_fresh_seeds,
    fresh_seeds,
    seed_noise,
)
from scoring.statistics.votes.counts import Integers

NOISE_BUDGET = 400_000_000  # resamples times pairs of images, all comparisons together


@dataclass(frozen=True, slots=True)
class NoisyMargin:
    """One comparison under resampled seeds.

    flip: the share of resamples that name another winner. other_winner: the chance that a fresh draw of as many seeds
    does, with moderated_standard_error, shrunk over comparisons; None if there are too few.
    """

    position: int
    margin: Estimate
    flip: float | None
    standard_error: float | None
    other_winner: float | None = None
    moderated_standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class FreshDraw:
    """The metric's winners and the agreement under a fresh draw of as many seeds.

    doubtful: comparisons in which it would name another winner with a chance above .05. other_winners: the share of
    comparisons in which it is expected to. agreement_where_clear: strict, without the doubtful ones. agreement: by the
    primary endpoint as observed, with the interval in which that of a fresh draw would lie. mean_margin, spread: of the
    margins over all seeds, among comparisons. reason: why all but `agreement` is missing. repeats_where_clear,
    repeats_where_doubtful: the share of repeats that named the same model again, on clear and on doubtful comparisons.
    """

    doubtful: int | None
    other_winners: float | None
    agreement_where_clear: Estimate
    agreement: Estimate
    mean_margin: float | None
    spread: float | None
    reason: str
    repeats_where_clear: Estimate
    repeats_where_doubtful: Estimate


@dataclass(frozen=True, slots=True)
class ImageNoise:
    """The dependence of the scores on which N images there are.

    images: N, None if there are none. comparisons: those analysed whose images could be resampled. doubtful: of
    these, those whose margin over all seeds may well have another sign, flip above .05. agreement_where_clear: strict,
    without them. margins: one row for each comparison. by_images, scores_a, scores_b: with 2, 3, … N of the images.
    reason: why all of it is missing. fresh_seeds: what other seeds would do; None in reports of version 0.2.
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
    fresh_seeds: FreshDraw | None = None


def compute(analysed: Analysed) -> ImageNoise:
    """Resample the images of each comparison, and draw smaller sets of them."""
    similarities, resampling = analysed.data.similarities, analysed.resampling
    _, ours, theirs = np.intersect1d(analysed.place, similarities.comparison, return_indices=True)
    if not len(ours):
        return _missing(similarities.reason or "no comparison has votes, scores and embedded images", resampling)
    a, b = similarities.a[theirs], similarities.b[theirs]
    images = a.shape[1]
    budgeted = within_budget(resampling, numbers=len(a) * images**2, budget=NOISE_BUDGET)
    noise = [seed_noise(of_a, of_b, resampling=budgeted) for of_a, of_b in zip(a, b, strict=True)]
    flips = np.array([np.nan if row.flip is None else row.flip for row in noise])
    known = ~np.isnan(flips)
    people, metric, clusters = analysed.people[ours], analysed.metric[ours], analysed.clusters[ours]
    fresh = _fresh(noise, images)
    fewer = fewer_images(people, a, b, resampling=resampling)
    positions = analysed.data.comparisons.position[analysed.place[ours]] + 1
    return ImageNoise(
        images=images,
        comparisons=len(a),
        doubtful=int((flips[known] > CLEAR).sum()),
        agreement_where_clear=agreement_where_clear(
            people[known], metric[known], flips[known], clusters=clusters[known], level=resampling.level
        ),
        margins=_margins(positions.tolist(), noise, fresh),
        by_images=fewer.by_images,
        scores_a=fewer.scores_a,
        scores_b=fewer.scores_b,
        reason="",
        fresh_seeds=_fresh_draw(
            analysed,
            ours,
            fresh,
            agreement_with_fresh_seeds(
                people, a - b, ties=analysed.data.manifest.analysis.primary_endpoint, resampling=budgeted
            ),
        ),
    )


def _missing(reason: str, resampling: Resampling) -> ImageNoise:
    undefined = Estimate.undefined(reason, n=0, level=resampling.level, method="Wilson")
    fresh = FreshDraw(None, None, undefined, undefined, None, None, reason, undefined, undefined)
    return ImageNoise(None, 0, None, undefined, (), (), (), (), reason, fresh)


def _fresh(noise: list[SeedNoise], images: int) -> FreshSeeds | str:
    """Return what fresh seeds would do, or the reason why it is not known."""
    if len(noise) < FEWEST_COMPARISONS:
        return f"fewer than {FEWEST_COMPARISONS} comparisons with embedded images"
    if noise[0].reason:
        return noise[0].reason
    margins, errors = ([getattr(row, name) for row in noise] for name in ("margin", "standard_error"))
    return fresh_seeds([margin.value for margin in margins], errors, seeds=images)


def _margins(positions: list[int], noise: list[SeedNoise], fresh: FreshSeeds | str) -> tuple[NoisyMargin, ...]:
    unknown: list[float | None] = [None] * len(noise)
    chances, errors = (
        (unknown, unknown) if isinstance(fresh, str) else (fresh.other_winner.tolist(), fresh.standard_error.tolist())
    )
    return tuple(
        NoisyMargin(position, row.margin, row.flip, row.standard_error, chance, error)
        for position, row, chance, error in zip(positions, noise, chances, errors, strict=True)
    )


def _fresh_draw(analysed: Analysed, ours: Integers, fresh: FreshSeeds | str, agreement: Estimate) -> FreshDraw:
    """ours: places of the comparisons with images among those analysed."""
    if isinstance(fresh, str):
        undefined = Estimate.undefined(fresh, n=len(ours), level=agreement.level, method="Wilson")
        return FreshDraw(None, None, undefined, agreement, None, None, fresh, undefined, undefined)
    people, metric, chances = analysed.people[ours], analysed.metric[ours], fresh.other_winner
    where, is_clear = analysed.place[ours], chances <= CLEAR
    return FreshDraw(
        doubtful=int((chances > CLEAR).sum()),
        other_winners=float(chances.mean()),
        agreement_where_clear=agreement_where_clear(
            people, metric, chances, clusters=analysed.clusters[ours], level=agreement.level
        ),
        agreement=agreement,
        mean_margin=fresh.mean,
        spread=fresh.spread,
        reason="",
        repeats_where_clear=_repeats_on(analysed, set(where[is_clear].tolist())),
        repeats_where_doubtful=_repeats_on(analysed, set(where[~is_clear].tolist())),
    )


def _repeats_on(analysed: Analysed, comparisons: set[int]) -> Estimate:
    """Return the share of repeats on these comparisons that named the same model again, without one-sided ties."""
    outcomes = [row.outcome for row in analysed.data.checks.repeats if row.comparison in comparisons]
    same = outcomes.count(SAME)
    estimate = wilson(same, same + outcomes.count(OTHER), level=analysed.resampling.level)
    return estimate if estimate.is_defined else replace(estimate, reason="no repeat")
