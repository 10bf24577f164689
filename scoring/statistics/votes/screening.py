"""Thresholds that attentive annotators rarely reach, and a test for a rising rate of rejections."""

import scipy


def failure_probability(tries: int, failures: int, *, slip: float) -> float:
    """The chance that an attentive annotator fails at least so many of so many checks.

    slip: the chance that an attentive annotator fails one check, independently of the others (binomial tail).

    >>> round(failure_probability(3, 2, slip=0.05), 5)
    0.00725
    """
    _refuse(tries, slip)
    return float(scipy.stats.binom.sf(failures - 1, tries, slip))


def fewest_failures(tries: int, *, slip: float, probability: float) -> int:
    """The fewest failures that an attentive annotator reaches with at most this probability.

    It is the number of tries plus one if even failing all of them is likelier than that. `tries` are all planned ones,
    so an annotator may be judged after each try: a number reached early is also reached at the end.

    >>> fewest_failures(3, slip=0.05, probability=0.01)
    2
    """
    _refuse(tries, slip)
    if not 0 < probability < 1:
        raise ValueError(f"a probability between 0 and 1, not {probability}")
    return next(count for count in range(tries + 2) if failure_probability(tries, count, slip=slip) <= probability)


def rise_probability(*, before: tuple[int, int], lately: tuple[int, int]) -> float:
    """The chance of so many recent rejections, or more, if their rate has not changed.

    before, lately: (rejected, total) of each period. One-sided exact test of Fisher (1935): given all rejections, how
    they are distributed over the two periods. 1 if a period is empty.

    >>> round(rise_probability(before=(0, 20), lately=(4, 10)), 4)
    0.0077
    """
    (rejected_before, count_before), (rejected_lately, count_lately) = before, lately
    if not (0 <= rejected_before <= count_before and 0 <= rejected_lately <= count_lately):
        raise ValueError(f"rejected {before} before and {lately} lately")
    if not count_before or not count_lately:
        return 1.0
    rejected = rejected_before + rejected_lately
    return float(scipy.stats.hypergeom.sf(rejected_lately - 1, count_before + count_lately, rejected, count_lately))


def split_probability(larger: int, smaller: int) -> float:
    """The chance that fair coins split at least as unevenly as this, in either direction; 1 without coins.

    >>> split_probability(3, 0)
    0.25
    """
    if not larger >= smaller >= 0:
        raise ValueError(f"a split of {larger} against {smaller}")
    return min(1.0, 2 * float(scipy.stats.binom.sf(larger - 1, larger + smaller, 0.5)))


def _refuse(tries: int, slip: float) -> None:
    if tries < 0 or not 0 < slip < 1:
        raise ValueError(f"{tries} tries with a slip of {slip}")
