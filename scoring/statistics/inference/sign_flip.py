"""Sign flips: how often random signs move a total as far from zero as it is, exactly or by draws."""

from collections.abc import Iterator

import numpy as np
import scipy
from numpy.typing import ArrayLike

from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.votes.counts import Floats, Integers, cluster_numbers

_MOST_STEPS = 20_000_000  # operations of the exact distribution, a tenth of a second: above, signs are drawn


def exact_sign_flip(sums: ArrayLike) -> float:
    """The chance that random signs move the total of whole numbers at least as far from zero as it is.

    sums: (n,) whole numbers. All 2^n choices of signs count alike. Equal sizes are taken together by a binomial, and
    the sizes are convolved.

    >>> exact_sign_flip([3, 3, 3, -3]), round(exact_sign_flip([1, 2, 4]), 4)
    (0.625, 0.25)
    """
    numbers = np.asarray(sums, dtype=np.int64)
    observed = abs(int(numbers.sum()))
    if not observed:
        return 1.0
    sizes, repeats = _sizes(numbers)
    others = _distribution(sizes[:-1], repeats[:-1])
    # The most frequent size comes last, by its tail: with one size this is the binomial test itself.
    size, count, reach = int(sizes[-1]), int(repeats[-1]), len(others) // 2
    needed = observed + np.arange(-reach, reach + 1)  # what the last size must bring; the others are symmetric
    tails = scipy.stats.binom.sf(np.ceil((needed / size + count) / 2 - 1e-9) - 1, count, 0.5)
    # not below the chance of one sign for all, which rounding of very small chances could fall short of
    return min(1.0, max(2 * float(others @ tails), 2.0 ** (1 - int(repeats.sum()))))


def sign_flip_p(sums: ArrayLike, *, resampling: Resampling) -> tuple[float, str]:
    """The same chance and how it was found: exactly, or from random signs if that would take long.

    sums: (n,) whole numbers. By draws: p = (1 + totals at least as far) / (1 + draws).

    >>> sign_flip_p([3, 3, 3, -3], resampling=Resampling())
    (0.625, 'exact')
    """
    numbers = np.asarray(sums, dtype=np.int64)
    sizes, _ = _sizes(numbers)
    if len(sizes) * float(np.abs(numbers).sum()) <= _MOST_STEPS:
        return exact_sign_flip(numbers), "exact"
    values, observed = numbers.astype(np.float64), abs(int(numbers.sum()))
    flips = sign_flips(len(numbers), resampling=resampling)
    reached = sum(int((np.abs(block @ values) >= observed - 0.5).sum()) for block in flips)
    how = f"{resampling.resamples} permutations, seed {resampling.seed}"
    return (1 + reached) / (1 + resampling.resamples), how


def sign_flips(n: int, *, clusters: ArrayLike | None = None, resampling: Resampling) -> Iterator[Floats]:
    """Random signs for n units, equal within a cluster: blocks (b, n) whose b add up to `resampling.resamples`.

    >>> [block.shape for block in sign_flips(3, resampling=Resampling(resamples=2))]
    [(2, 3)]
    """
    members = cluster_numbers(n, clusters)
    rng = np.random.default_rng(resampling.seed)
    for block in resampling.blocks(n):
        yield rng.choice((-1.0, 1.0), size=(block, int(members.max(initial=-1)) + 1))[:, members]


def _sizes(numbers: Integers) -> tuple[Integers, Integers]:
    """The sizes other than zero and how often each occurs, the most frequent one last."""
    sizes, repeats = np.unique(np.abs(numbers[numbers != 0]), return_counts=True)
    order = np.argsort(repeats, kind="stable")
    return sizes[order], repeats[order].astype(np.int64)


def _distribution(sizes: Integers, repeats: Integers) -> Floats:
    """The chance of each total of these sizes under random signs, from the least total to the greatest."""
    chances: Floats = np.ones(1)
    for size, count in zip(sizes.tolist(), repeats.tolist(), strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = scipy.stats.binom.pmf(np.arange(count + 1), count, 0.5)
        # Of many sizes by FFT, whose rounding may be below zero.
        chances = np.maximum(scipy.signal.convolve(chances, steps), 0.0)
    return chances
