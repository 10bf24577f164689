"""The number of comparisons that a study needs: by the power of exact tests, and by the width of an interval."""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

_FIRST_SEARCH, _LONGEST_SEARCH = 256, 256 * 4**5
_TOOTH = 20  # numbers in which the power of McNemar's test falls and comes back, more than it ever takes


@dataclass(frozen=True, slots=True)
class AgainstBaseline:
    """One-sided: reject "the agreement is at most `baseline`" at `significance_level`."""

    baseline: float
    significance_level: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.baseline < 1 and 0 < self.significance_level < 1):
            raise ValueError("a baseline and a significance level lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class NeededComparisons:
    """first: the first n that reaches the power; rejects_from: agreements of `first` from which on the test rejects.

    safe: the n from which the power never falls below the target again. Power is a sawtooth in n, so the two differ.
    """

    first: int
    rejects_from: int
    safe: int


def rejects_from(n: NDArray[np.int64], test: AgainstBaseline) -> NDArray[np.int64]:
    """The fewest agreements at which the test rejects, for each n; n + 1 if nothing rejects.

    >>> rejects_from(np.array([76]), AgainstBaseline(0.85)).tolist()
    [70]
    """
    # The least k with P(more than k) small enough.
    most_accepted = scipy.stats.binom.isf(test.significance_level, n, test.baseline)
    return np.asarray(most_accepted).astype(np.int64) + 1


def power(n: NDArray[np.int64], test: AgainstBaseline, *, agreement: float) -> NDArray[np.float64]:
    """The chance that a study of each n rejects, if the true agreement is as given.

    >>> round(float(power(np.array([76]), AgainstBaseline(0.85), agreement=0.94)[0]), 3)
    0.829
    """
    return np.asarray(scipy.stats.binom.sf(rejects_from(n, test) - 1, n, agreement), dtype=np.float64)


def needed_comparisons(test: AgainstBaseline, *, agreement: float, target: float = 0.80) -> NeededComparisons:
    """Return the number of comparisons that show that a metric of the given agreement beats the baseline.

    target: the wanted power. Raises ValueError if the agreement does not exceed the baseline, or so little that 250,000
    comparisons are too few.

    >>> needed_comparisons(AgainstBaseline(0.85), agreement=0.94)
    NeededComparisons(first=76, rejects_from=70, safe=85)
    """
    if not test.baseline < agreement < 1 or not 0 < target < 1:
        raise ValueError("the agreement lies between the baseline and 1, the power between 0 and 1")
    longest = _FIRST_SEARCH
    while longest <= _LONGEST_SEARCH:
        sizes = np.arange(1, longest + 1)
        is_enough = power(sizes, test, agreement=agreement) >= target
        last_short = int(np.flatnonzero(~is_enough).max(initial=-1)) + 1
        # The power is a sawtooth whose teeth shrink. If the upper half of the sizes is enough, so are all larger ones.
        if last_short * 2 < longest:
            first = int(np.argmax(is_enough)) + 1
            return NeededComparisons(first, int(rejects_from(np.array([first]), test)[0]), last_short + 1)
        longest *= 4
    raise ValueError(f"an agreement of {agreement} is too close to {test.baseline} for {_LONGEST_SEARCH} comparisons")


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two ways to choose, compared on the same comparisons by the exact test of their credits, two-sided at 1 - level.

    differing: the mean squared difference of their credits; where credits are 0 or 1, how often the two differ.
    """

    differing: float
    level: float = 0.95

    def __post_init__(self) -> None:
        if not (0 < self.differing <= 1 and 0 < self.level < 1):
            raise ValueError("how often two ways to choose differ is above 0 and at most 1, a level between 0 and 1")

    def power(self, n: int, difference: float) -> float:
        """The chance that n independent comparisons show the first to earn more, if it does by `difference`.

        The number of comparisons in which the two differ varies from study to study (unconditional power). Half credits
        are taken as whole ones with the same mean and mean square: planned for .80, simulated studies of half credits
        had .79 to .82. Raises ValueError for a difference that is not
        above 0 and at most `differing`.
        Source: Connor (1987), "Sample size for testing differences in proportions for the paired-sample design".

        >>> round(PairedTest(0.2).power(150, 0.1), 3)
        0.746
        """
        if not 0 < difference <= self.differing:
            raise ValueError("the difference is above 0 and at most how often the two differ")
        reach = 10 * math.sqrt(n * self.differing * (1 - self.differing)) + 10  # beyond it lies less than 1e-16
        differing = np.arange(max(0, int(n * self.differing - reach)), min(n, int(n * self.differing + reach)) + 1)
        won_from = scipy.stats.binom.isf((1 - self.level) / 2, differing, 0.5) + 1
        wins = scipy.stats.binom.sf(won_from - 1, differing, (1 + difference / self.differing) / 2)
        return float(scipy.stats.binom.pmf(differing, n, self.differing) @ wins)


def needed_for_difference(test: PairedTest, *, difference: float, target: float = 0.80) -> int:
    """The fewest independent comparisons that show a difference with the wanted power, and never less from there on.

    The power rises with the number, because the sawtooth of a test with a fixed number of trials averages out, unless
    the two differ nearly always; then the search goes on behind the last tooth. Raises ValueError for a difference that
    250,000 comparisons do not show.

    >>> needed_for_difference(PairedTest(0.2), difference=0.1)
    168
    """
    short, enough = 0, 8
    while test.power(enough, difference) < target:
        short, enough = enough, enough * 2
        if short >= _LONGEST_SEARCH:
            raise ValueError(f"a difference of {difference:.3g} is too small for {_LONGEST_SEARCH:,} comparisons")
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if test.power(middle, difference) >= target else (middle, enough)
    while short_again := [n for n in range(enough, enough + _TOOTH) if test.power(n, difference) < target]:
        enough = short_again[-1] + 1
    return enough


def expected_width(n: NDArray[np.int64], *, agreement: float, level: float = 0.95) -> NDArray[np.float64]:
    """Return the expected width of Wilson's interval of the agreement, for studies of each n.

    It is the mean over the binomial distribution of possible agreements, so it is no sawtooth in n.
    Raises ValueError for an agreement or a level outside 0 to 1.

    >>> round(float(expected_width(np.array([100]), agreement=0.94)[0]), 3)
    0.095
    """
    if not (0 < agreement < 1 and 0 < level < 1):
        raise ValueError("an agreement and a level lie between 0 and 1")
    return np.array([_mean_width(int(size), agreement, level) for size in n], dtype=np.float64)


def comparisons_for_width(width: float, *, agreement: float, level: float = 0.95) -> int:
    """The fewest comparisons whose interval is on average no wider than `width`, high minus low.

    Raises ValueError for a width outside 0 to 1, or one that 250,000 comparisons do not reach.

    >>> comparisons_for_width(0.1, agreement=0.94)
    92
    """
    if not 0 < width < 1:
        raise ValueError("a width lies between 0 and 1")
    short, enough = 0, _FIRST_SEARCH
    while expected_width(np.array([enough]), agreement=agreement, level=level)[0] > width:
        short, enough = enough, enough * 4
        if short >= _LONGEST_SEARCH:
            raise ValueError(f"an interval of {width} is too narrow for {_LONGEST_SEARCH} comparisons")
    while enough - short > 1:
        middle = (short + enough) // 2
        is_enough = expected_width(np.array([middle]), agreement=agreement, level=level)[0] <= width
        short, enough = (short, middle) if is_enough else (middle, enough)
    return enough


def _mean_width(n: int, agreement: float, level: float) -> float:
    seen = np.arange(n + 1)
    z = scipy.stats.norm.ppf((1 + level) / 2)
    widths = 2 * z / (n + z**2) * np.sqrt(seen * (n - seen) / n + z**2 / 4)
    return float(scipy.stats.binom.pmf(seen, n, agreement) @ widths)
