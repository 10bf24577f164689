"""Reasons to doubt the winners, for the report's sections and its claim. Pure."""

from annotation.reports.agreement_report import Bias, Results, StudyFacts
from annotation.reports.findings.image_noise import ImageNoise
from annotation.reports.sections.numbers import p_value, percent
from scoring.statistics.estimate import Estimate


def reservations(*, study: StudyFacts, results: Results) -> tuple[str, ...]:
    """Each reason to doubt the winners, as a clause; empty if there is none."""
    clauses = (
        _chance(results.reliability.alpha),
        side_mattered(results.bias, level=study.level),
        _other_seeds(results.image_noise),
        "" if study.was_sealed_by_design else "not sealed: results could be seen while votes came in",
    )
    return tuple(clause for clause in clauses if clause)


def beyond_chance(alpha: Estimate) -> str:
    """How little annotators agree by Krippendorff's alpha; empty if it is shown to be above zero, or undefined."""
    if alpha.value is None or (alpha.low if alpha.low is not None else alpha.value) > 0:
        return ""
    return "agree no more than by chance" if alpha.value <= 0 else "are not shown to agree more than by chance"


def side_mattered(bias: Bias, *, level: float) -> str:
    """That annotators preferred a side, if a test at the report's level shows it; else empty."""
    position = bias.position
    if position is None:
        return ""
    share, test = position.share, position.t_test
    if test.p_value is None:  # too few annotators
        share, test = position.pooled_share, position.pooled_test
    if share.value is None or test.p_value is None or test.p_value >= 1 - level:
        return ""
    said = f"left was chosen in {percent(share.value)} ({p_value(test)})"
    return f"the side mattered: {said}, so votes may name a side and not a set"


def _chance(alpha: Estimate) -> str:
    how = beyond_chance(alpha)
    return f"annotators {how} (Krippendorff's alpha), so the winners of the votes may be noise" if how else ""


def _other_seeds(noise: ImageNoise) -> str:
    if noise.images is None or not noise.doubtful:
        return ""
    return f"other seeds could well have turned {noise.doubtful} of the metric's {noise.comparisons} winners"
