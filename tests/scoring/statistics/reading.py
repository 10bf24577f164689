"""Read the numbers of a result, and votes in a test's notation."""

from collections.abc import Sequence

from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.votes.votes import Votes


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


def votes_of_rows(rows: Sequence[str]) -> Votes:
    """Parse votes: a string for each comparison, a character for each annotator: 0, 1, 2; a full stop is no vote."""
    cast = [(i, j, int(vote)) for i, row in enumerate(rows) for j, vote in enumerate(row) if vote != "."]
    return Votes.of(*zip(*cast, strict=True)) if cast else Votes.of([], [], [])
