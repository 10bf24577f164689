"""A number that a reader may quote: with its interval, its n, its method, or the reason why it is undefined."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its interval.

    value, low, high: in the statistic's own unit, or None where undefined; `reason` then says why.
    level: of the interval, for example 0.95. n: units it rests on. method: of the interval, for example "Wilson".
    A value may be defined and its interval not: low and high are then None and `reason` says why.

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

    @classmethod
    def undefined(cls, reason: str, *, n: int, level: float = 0.95, method: str = "none") -> "Estimate":
        """An estimate that does not exist, and why."""
        return cls(value=None, low=None, high=None, level=level, n=n, method=method, reason=reason)

    @property
    def is_defined(self) -> bool:
        """Whether there is a value at all."""
        return self.value is not None


@dataclass(frozen=True, slots=True)
class SignificanceTest:
    """The outcome of a test: two-sided unless `method` says otherwise.

    statistic, p_value: None where the test does not exist; `reason` then says why. n: units it rests on.

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
        """A test that does not exist, and why."""
        return cls(statistic=None, p_value=None, n=n, method=method, reason=reason)
