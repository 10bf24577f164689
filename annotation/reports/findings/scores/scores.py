"""The metric's scores of the two models side by side. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.inference.estimate import SignificanceTest
from scoring.statistics.scores.significance import Wilcoxon, ks_sign_flip, ks_two_sample, wilcoxon
from scoring.statistics.votes.counts import Floats


@dataclass(frozen=True, slots=True)
class ModelScores:
    """The metric's scores of one model's image sets, in the metric's unit."""

    n: int
    mean: float | None
    median: float | None
    standard_deviation: float | None
    least: float | None
    greatest: float | None
    reason: str

    @property
    def are_equal(self) -> bool:
        """Whether all scores are equal, so that a kernel density does not exist."""
        return self.least == self.greatest


@dataclass(frozen=True, slots=True)
class Scores:
    """Each model's scores, and the tests between them. The method of a test says if it ignores the pairing."""

    model_a: ModelScores
    model_b: ModelScores
    wilcoxon: Wilcoxon
    kolmogorov_smirnov: SignificanceTest
    kolmogorov_smirnov_sign_flip: SignificanceTest


def compute(analysed: Analysed) -> Scores:
    """Return the scores of all comparisons that have both, whether voted on or not."""
    rows, paired, resampling = analysed.data.comparisons, analysed.outcome.is_scored, analysed.resampling
    score_a, score_b, clusters = rows.score_a[paired], rows.score_b[paired], rows.cluster[paired]
    return Scores(
        model_a=_model_scores(score_a),
        model_b=_model_scores(score_b),
        wilcoxon=wilcoxon(analysed.outcome.margin[paired], clusters=clusters, resampling=resampling),
        kolmogorov_smirnov=ks_two_sample(score_a, score_b, clusters=clusters),
        kolmogorov_smirnov_sign_flip=ks_sign_flip(score_a, score_b, clusters=clusters, resampling=resampling),
    )


def _model_scores(scores: Floats) -> ModelScores:
    n = len(scores)
    if not n:
        return ModelScores(0, None, None, None, None, None, "no comparison with both scores")
    spread = float(np.std(scores, ddof=1)) if n > 1 else None
    reason = "" if n > 1 else "one score has no standard deviation"
    least, greatest = float(scores.min()), float(scores.max())
    return ModelScores(n, float(scores.mean()), float(np.median(scores)), spread, least, greatest, reason)
