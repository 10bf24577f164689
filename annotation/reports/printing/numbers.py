"""Numbers and names as a reader sees them: percentages to one decimal, coefficients to three, intervals."""

from datetime import datetime

from scoring.statistics.inference.estimate import Estimate, SignificanceTest

TIE_RULES = {
    "strict": "a tie on one side only counts as disagreement",
    "half": "a tie on one side only counts one half",
    "dropped": "ties left out",
}

_SURE_DECIMALS = 8  # beyond those printed: what lies behind them comes from rounding


def metric_name(metric: str) -> str:
    """Return a metric's name for readers: SCS with its encoder, the pinned revision shortened.

    >>> metric_name("scs/clip:openai/clip-vit-base-patch32@c237dc49a33fc61debc9276459120b7eac67e7ef")
    'SCS (clip:openai/clip-vit-base-patch32@c237dc49)'
    >>> metric_name("")
    'no metric'
    """
    if not metric:
        return "no metric"
    if not is_scs(metric):
        return metric
    encoder, _, revision = metric.removeprefix("scs/").partition("@")
    return f"SCS ({encoder}@{revision[:8]})" if revision else f"SCS ({encoder})"


def directed_metric(metric: str, *, is_lower: bool) -> str:
    """Return a metric's name for readers, with its direction if a lower score is more consistent.

    >>> directed_metric("lpips", is_lower=True), directed_metric("clip-i", is_lower=False)
    ('lpips (lower is more consistent)', 'clip-i')
    """
    return f"{metric_name(metric)} (lower is more consistent)" if is_lower else metric_name(metric)


def is_scs(metric: str) -> bool:
    """Return whether a metric is the Semantic Consistency Score, which lies between 0 and 100."""
    return metric.startswith("scs/")


def decimals(value: float, places: int) -> str:
    """A number to so many decimals, with a minus sign and without a negative zero.

    Two numbers that differ by errors of rounding only are the same number to a reader: 0.6375 - 0.65 and -0.0125.

    >>> decimals(100 * (0.6375 - 0.65), 1), decimals(-1.25, 1), decimals(-0.04, 1)
    ('−1.2', '−1.2', '0.0')
    """
    text = f"{round(value, places + _SURE_DECIMALS):.{places}f}"
    return text.removeprefix("-") if not float(text) else _minus(text)


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(0.94), percent(0.6375)
    ('94.0 %', '63.8 %')
    """
    return f"{decimals(100 * share, 1)} %"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points.

    >>> points(-0.17)
    '−17.0 points'
    """
    return percent(difference).replace("%", "points")


def coefficient(value: float) -> str:
    """A coefficient to three decimals, with a minus sign and without a negative zero.

    >>> coefficient(-0.00001), coefficient(0.63414), coefficient(-0.5)
    ('0.000', '0.634', '−0.500')
    """
    return decimals(value, 3)


def interval(estimate: Estimate) -> str:
    """The interval of a share in words, or the reason why it is undefined.

    >>> interval(Estimate(.94, .8752, .9722, .95, 100, "Wilson"))
    '95 % interval 87.5 to 97.2 % (Wilson)'
    """
    if estimate.low is None or estimate.high is None:
        return f"interval undefined: {estimate.reason}"
    low, high = decimals(100 * estimate.low, 1), decimals(100 * estimate.high, 1)
    return f"{100 * estimate.level:g} % interval {low} to {high} % ({estimate.method})"


def difference(estimate: Estimate) -> str:
    """A difference of two shares with its interval, in percentage points.

    >>> difference(Estimate(.04, -.0191, .1082, .95, 100, "score interval"))
    'difference 4.0 points, 95 % interval −1.9 to 10.8'
    """
    if estimate.value is None:
        return f"difference undefined: {estimate.reason}"
    if estimate.low is None or estimate.high is None:
        return f"difference {points(estimate.value)}, interval undefined: {estimate.reason}"
    low, high = (points(bound).removesuffix(" points") for bound in (estimate.low, estimate.high))
    return f"difference {points(estimate.value)}, {100 * estimate.level:g} % interval {low} to {high}"


def p_value(test: SignificanceTest) -> str:
    """A p-value with the name of its test, or the reason why it is undefined.

    >>> p_value(SignificanceTest(2, .2891, 8, "exact McNemar"))
    'exact McNemar p = 0.289'
    """
    if test.p_value is None:
        return f"{test.method} undefined: {test.reason}"
    return f"{test.method} p {probability(test.p_value)}"


def probability(p: float) -> str:
    """A p-value with its sign: three decimals, and no zero; four where three would hide on which side of .05 it lies.

    >>> probability(0.2891), probability(1e-9), probability(0.0496)
    ('= 0.289', '< 0.001', '= 0.0496')
    """
    rounded = f"{p:.3f}"
    return "< 0.001" if p < 0.001 else f"= {p:.4f}" if rounded == "0.050" else f"= {rounded}"


def significant(value: float) -> str:
    """A number to four significant digits, or to all before the decimal point.

    >>> significant(-0.083333), significant(30.0), significant(-0.0), significant(500500.0)
    ('−0.08333', '30', '0', '500500')
    """
    return _minus(f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:z.4g}")


def count(number: int | None) -> str:
    """A count, or a dash if there is nothing to count."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


def score(value: float | None) -> str:
    """A metric's score to two decimals, or a dash if there is none."""
    return "–" if value is None else decimals(value, 2)


def seconds(value: float | None) -> str:
    """A time to a tenth of a second, or a dash if there is none."""
    return "–" if value is None else f"{decimals(value, 1)} s"


def minute(moment: datetime) -> str:
    """A moment to the minute, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M}"


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
