"""The results of statistics: a value with interval, n and method, or the reason why it is undefined."""

from dataclasses import dataclass

# Populations of annotators that an interval can speak about.
THESE_ANNOTATORS = "these annotators"
ANNOTATORS_LIKE_THESE = "annotators like these"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its interval.

    value, low, high: in the statistic's own unit, or None if undefined; `reason` then says why.
    level: of the interval, for example 0.95. n: number of units. method: of the interval, for example "Wilson".
    If the value is defined but its interval is not, low and high are None and `reason` says why.
    population: the annotators that the interval speaks about, or empty if it names none: "these annotators" (other
    prompts, the same people) or "annotators like these" (other prompts and other people).

    >>> Estimate.undefined("unanimous", n=12).value is None
    True
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    method: str
    reason: str = ""
    population: str = ""

    @classmethod
    def undefined(cls, reason: str, *, n: int, level: float = 0.95, method: str = "none") -> "Estimate":
        """Return an estimate without a value, with the reason."""
        return cls(value=None, low=None, high=None, level=level, n=n, method=method, reason=reason)

    @property
    def is_defined(self) -> bool:
        """Whether there is a value."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class SignificanceTest:
    """The outcome of a test: two-sided unless `method` says otherwise.

    statistic, p_value: None if the test does not exist; `reason` then says why. n: number of units.

    >>> SignificanceTest.undefined("no difference other than zero", n=4, method="Wilcoxon signed-rank").p_value is None
    True
    """

    statistic: float | None
    p_value: float | None
    n: int
    method: str
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str, *, n: int, method: str) -> "SignificanceTest":
        """Return a test that does not exist, with the reason."""
        return cls(statistic=None, p_value=None, n=n, method=method, reason=reason)


def holm(p_values: list[float | None]) -> list[float | None]:
    """Holm's adjusted p-values; None for a test that does not exist, which does not count.

    >>> [None if p is None else round(p, 3) for p in holm([0.01, None, 0.04])]
    [0.02, None, 0.04]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    reached = 0.0
    for rank, (p, place) in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p))
        adjusted[place] = reached
    return adjusted
