"""Whether a larger margin of the metric means a surer agreement with people. Pure."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.calibration import Calibration, MarginBin, agreement_by_margin, calibration, margin_auc
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling
from scoring.statistics.tie_threshold import TieThreshold, calibrate_ties

_POINTS = 41


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The fitted chance that a vote goes to A at a margin."""

    margin: float
    chance: float


@dataclass(frozen=True, slots=True)
class Margins:
    """by_margin: strict agreement in bins of the margin's size. curve: the fit, empty where there is none.

    auc: the chance that the margin is larger where the metric is right. ties: the threshold below which the metric
    should name no winner.
    """

    by_margin: tuple[MarginBin, ...]
    calibration: Calibration
    curve: tuple[CurvePoint, ...]
    auc: Estimate
    ties: TieThreshold


def margins(kept: Analysed, *, resampling: Resampling) -> Margins:
    """Agreement by margin, the votes as a function of it, and the tie threshold."""
    fit = calibration(kept.counts, kept.margin, clusters=kept.clusters, resampling=resampling)
    return Margins(
        by_margin=agreement_by_margin(kept.counts, kept.margin, level=resampling.level),
        calibration=fit,
        curve=_curve(fit, kept),
        auc=margin_auc(kept.margin, kept.people == kept.metric, clusters=kept.clusters, resampling=resampling),
        ties=calibrate_ties(
            kept.people, kept.margin, clusters=kept.clusters, seed=resampling.seed, level=resampling.level
        ),
    )


def _curve(fit: Calibration, kept: Analysed) -> tuple[CurvePoint, ...]:
    if fit.intercept.value is None or fit.slope.value is None:
        return ()
    at = np.linspace(kept.margin.min(), kept.margin.max(), _POINTS)
    chances = expit(fit.intercept.value + fit.slope.value * at)
    return tuple(CurvePoint(float(margin), float(chance)) for margin, chance in zip(at, chances, strict=True))
