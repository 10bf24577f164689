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
