"""The bootstrap of Krippendorff's alpha, compared with a call of the krippendorff package for every resample.

    python -m benchmarks.alpha [--resamples 2000] [--called 20]

The package is called on some of the same resamples, in the same run: with the matrix of votes, and with its own form of
counts. The interval over those resamples must agree to 1e-12 with ours over the same ones.
"""

import argparse
import math
import time
from collections.abc import Callable

import krippendorff
import numpy as np
from numpy.typing import NDArray

from scoring.statistics.inference.intervals import Resampling, _kept_draws
from scoring.statistics.people.reliability import krippendorff_alpha

SIZES = ((100, 10), (10_000, 100))
SHARES = (0.5, 0.3, 0.2)
SEED = 20240412


def votes_matrix(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return votes as the package takes them, annotators by comparisons; every annotator votes on every comparison."""
    return np.array([np.repeat(np.arange(counts.shape[1]), row) for row in counts], dtype=np.float64).T


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds that the work takes."""
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def compare(comparisons: int, votes: int, resamples: int, called: int) -> None:
    """Measure one size: our whole bootstrap, and the package for the first resamples of the same seed."""
    counts = np.random.default_rng(0).multinomial(votes, SHARES, size=comparisons)
    matrix = votes_matrix(counts)
    drawn = np.random.default_rng(SEED).integers(0, comparisons, size=(called, comparisons))
    whole = Resampling(resamples=resamples, seed=SEED)
    ours = min(seconds_of(lambda: _from_scratch(counts, whole)) for _ in range(3)) / resamples
    print(f"{comparisons} comparisons x {votes} votes: {ours * 1e6:.1f} µs a resample")
    rivals: dict[str, Callable[[NDArray[np.int64]], float]] = {
        "votes matrix": lambda rows: krippendorff.alpha(matrix[:, rows], level_of_measurement="nominal"),
        "counts form": lambda rows: krippendorff.alpha(value_counts=counts[rows], level_of_measurement="nominal"),
    }
    for name, alpha in rivals.items():
        values: list[float] = []
        seconds = seconds_of(lambda: values.extend(alpha(rows) for rows in drawn)) / called  # noqa: B023 (called at once)
        check(values, counts, called)
        print(f"  krippendorff, {name:13} {seconds * 1e6:12.1f} µs   {seconds / ours:8.0f} times slower")


def _from_scratch(counts: NDArray[np.int64], resampling: Resampling) -> None:
    """Run our bootstrap with its draws: the report makes them once, the package's loop draws each time."""
    _kept_draws.cache_clear()
    krippendorff_alpha(counts, resampling=resampling)


def check(values: list[float], counts: NDArray[np.int64], called: int) -> None:
    """Exit if the values differ: then their speed means nothing."""
    found = krippendorff_alpha(counts, resampling=Resampling(resamples=called, seed=SEED))
    low, high = np.quantile(values, [0.025, 0.975])
    if not (math.isclose(found.low or 0, low, abs_tol=1e-12) and math.isclose(found.high or 0, high, abs_tol=1e-12)):
        raise SystemExit(f"the package gives {low} to {high}, we {found.low} to {found.high}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of our resamples, and the number for which the package is called."""
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--called", type=int, default=20)


def compare_all(options: argparse.Namespace) -> None:
    """Measure each size."""
    for comparisons, votes in SIZES:
        compare(comparisons, votes, options.resamples, options.called)


def main() -> None:
    """Run this benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    compare_all(parser.parse_args())


if __name__ == "__main__":
    main()
