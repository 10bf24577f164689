"""Numbers that a test expects to be there."""

from scoring.statistics.estimate import Estimate, SignificanceTest


def value(estimate: Estimate) -> float:
    assert estimate.value is not None, estimate.reason
    return estimate.value


def bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None, estimate.reason
    assert estimate.high is not None, estimate.reason
    return estimate.low, estimate.high


def p_value(test: SignificanceTest) -> float:
    assert test.p_value is not None, test.reason
    return test.p_value
