"""The agreement with people as a function of the metric's margin. Pure."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.agreement.calibration import (
    Calibration,
    MarginBin,
    agreement_by_margin,
    calibration,
    margin_auc,
)
from scoring.statistics.agreement.tie_threshold import TieThreshold, calibrate_ties
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.votes.counts import Floats

_POINTS = 41


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The fitted chance that a vote goes to A at a margin."""

    margin: float
    chance: float


@dataclass(frozen=True, slots=True)
class Margins:
    """by_margin: strict agreement in bins of the margin's size. curve: the fit, empty if there is none.

    auc: the chance that the margin is larger if the metric is right. ties: the threshold below which the metric
    should name no winner.
    """

    by_margin: tuple[MarginBin, ...]
    calibration: Calibration
    curve: tuple[CurvePoint, ...]
    auc: Estimate
    ties: TieThreshold


def compute(analysed: Analysed) -> Margins:
    """Return the agreement by margin, the votes as a function of it, and the tie threshold."""
    people, margin, clusters, resampling = analysed.people, analysed.margin, analysed.clusters, analysed.resampling
    fit = calibration(analysed.counts, margin, clusters=clusters, resampling=resampling)
    return Margins(
        by_margin=agreement_by_margin(analysed.counts, margin, clusters=clusters, level=resampling.level),
        calibration=fit,
        curve=_curve(fit, margin),
        auc=margin_auc(margin, people == analysed.metric, clusters=clusters, resampling=resampling),
        ties=calibrate_ties(people, margin, clusters=clusters, seed=resampling.seed, level=resampling.level),
    )


def _curve(fit: Calibration, margin: Floats) -> tuple[CurvePoint, ...]:
    if fit.intercept.value is None or fit.slope.value is None:
        return ()
    at = np.linspace(margin.min(), margin.max(), _POINTS)
    chances = expit(fit.intercept.value + fit.slope.value * at)
    return tuple(map(CurvePoint, at.tolist(), chances.tolist()))
