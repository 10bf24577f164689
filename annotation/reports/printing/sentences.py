"""Parts of sentences that are made from values. Pure."""

from collections.abc import Callable

from annotation.reports.printing.numbers import decimals, is_scs, metric_name, percent, probability
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.bias import PositionBias
from scoring.statistics.people.reliability import Reliability


def short_metric(metric: str) -> str:
    """Return a metric's name without its encoder, which the page names once.

    >>> short_metric("scs/clip:openai/clip-vit-base-patch32@c237dc49"), short_metric("lpips"), short_metric("")
    ('SCS', 'lpips', 'no metric')
    """
    return "SCS" if is_scs(metric) else metric_name(metric)


def of_all(share: Estimate, *, has_halves: bool = False) -> str:
    """Return a share of n as a count of n; as a percentage if half credits make it no count.

    >>> half = Estimate(.75, None, None, .95, 4, "")
    >>> of_all(half), of_all(half, has_halves=True)
    ('3 of 4', '75.0 % of 4')
    """
    value = share.value or 0.0
    return f"{percent(value) if has_halves else round(value * share.n)} of {share.n}"


def of_comparisons(share: Estimate, *, has_halves: bool = False) -> str:
    """Return a share of comparisons as `of_all` does, with the noun.

    >>> of_comparisons(Estimate(.5, None, None, .95, 2, "")), of_comparisons(Estimate(1.0, None, None, .95, 1, ""))
    ('1 of 2 comparisons', '1 of 1 comparison')
    """
    return f"{of_all(share, has_halves=has_halves)} {'comparison' if share.n == 1 else 'comparisons'}"


def within(estimate: Estimate) -> str:
    """Return the bounds of a share in brackets, after its percentage; only the percentage without bounds.

    >>> within(Estimate(.94, .8752, .9722, .95, 100, "Wilson")), within(Estimate(.5, None, None, .95, 2, ""))
    ('94.0 % (95 % interval 87.5 to 97.2)', '50.0 %')
    """
    if estimate.value is None:
        return f"undefined ({estimate.reason})"
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    bounds = f"{decimals(100 * estimate.low, 1)} to {decimals(100 * estimate.high, 1)}"
    return f"{percent(estimate.value)} ({100 * estimate.level:g} % interval {bounds})"


def around(estimate: Estimate, text: Callable[[float], str]) -> str:
    """Return a number with its bounds in brackets; without bounds the number.

    >>> around(Estimate(.48, .38, .575, .95, 100, "bootstrap"), "{:.2f}".format)
    '0.48 (95 % interval 0.38 to 0.57)'
    """
    if estimate.value is None:
        return f"undefined ({estimate.reason})"
    if estimate.low is None or estimate.high is None:
        return text(estimate.value)
    return f"{text(estimate.value)} ({100 * estimate.level:g} % interval {text(estimate.low)} to {text(estimate.high)})"


def sentence(clause: str) -> str:
    """Return a clause as a sentence.

    >>> sentence("annotators agree"), sentence("")
    ('Annotators agree.', '')
    """
    return f"{clause[:1].upper()}{clause[1:]}." if clause else ""


def alpha_with_interval(found: Reliability) -> Estimate:
    """Return Krippendorff's alpha; with few clusters only that for annotators like these may have an interval."""
    others = found.annotators_like_these
    return others.alpha if found.alpha.low is None and others and others.alpha.low is not None else found.alpha


def beyond_chance(found: Reliability) -> str:
    """Return a clause that annotators hardly agree; empty if alpha is undefined or shown to be above zero.

    Without an interval nothing is shown, unless no two votes on a comparison differ. In a study of several
    models, alpha says how far they agree beyond an order of the models.
    """
    alpha = alpha_with_interval(found)
    if alpha.value is None or (alpha.value == 1 if alpha.low is None else alpha.low > 0):
        return ""
    return "are not shown to agree more than by chance"


def side_mattered(position: PositionBias | None, *, level: float) -> str:
    """Return a clause that annotators preferred a side, if a test at the report's level shows it; else empty."""
    if position is None:
        return ""
    share, test = position.share, position.t_test
    if test.p_value is None:  # too few annotators, or all with the same share
        if share.value == 0.5:  # each vote follows the model to either side: what is left is how sides were drawn
            return ""
        share, test = position.pooled_share, position.pooled_test
    if share.value is None or test.p_value is None or test.p_value >= 1 - level:
        return ""
    said = f"left was chosen in {percent(share.value)} ({test.method}, p {probability(test.p_value)})"
    return f"the side mattered: {said}, so votes may name a side and not a set"
