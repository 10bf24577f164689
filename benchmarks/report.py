"""The full report of a small and of a very large study, and its bootstraps compared with the naive way, in one run.

    python -m benchmarks.report [--resamples 2000] [--called 20]

Each report is made in a process of its own, whose peak of resident memory is given. Then `benchmarks.alpha` sets the
bootstrap of Krippendorff's alpha against the krippendorff package, and the resampling of comparisons and annotators is
set against a loop that goes through the votes of each resample. Figures that differ stop the run.
"""

import argparse
import math
import multiprocessing
import os
import resource
import time

import numpy as np

from benchmarks import alpha

SIZES = ((100, 10, 40), (10_000, 100, 1_000))  # comparisons, votes of each, annotators
LOOPS = 5  # resamples that the loop goes through


def make(comparisons: int, votes: int, annotators: int) -> None:
    """Make one report, from arrays to every format, and print its time and memory."""
    _set_up()
    from annotation.reports.report import build_report
    from annotation.reports.report_jobs.downloads import FORMATS, render
    from benchmarks.simulated_study import simulated_study

    data = simulated_study(comparisons=comparisons, votes=votes, annotators=annotators)
    started_at = time.perf_counter()
    report = build_report(data)
    seconds = {"statistics": time.perf_counter() - started_at}
    for name in FORMATS:
        began_at = time.perf_counter()
        render(report, name)
        seconds[name] = time.perf_counter() - began_at
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = ", ".join(f"{name} {one:.2f}" for name, one in seconds.items())
    print(f"full report, {comparisons} comparisons x {votes} votes: {seconds['statistics'] + seconds['html']:.2f} s")
    print(f"  {data.manifest.analysis.resamples} resamples; seconds: {parts}; peak {peak:.0f} MB", flush=True)


def resample_both_ways(comparisons: int, votes: int, annotators: int) -> None:
    """Compare the two-way bootstrap with a loop over the votes of the same draws."""
    from benchmarks.simulated_study import simulated_study
    from scoring.statistics.intervals import Resampling
    from scoring.statistics.people.two_way import two_way_agreement
    from scoring.statistics.votes import Votes

    data = simulated_study(comparisons=comparisons, votes=votes, annotators=annotators)
    cast = Votes.of(data.votes.comparison, data.votes.annotator, data.votes.choice)
    metric = np.sign(data.comparisons.score_a - data.comparisons.score_b).astype(np.int64)
    resampling = Resampling(resamples=100)
    started_at = time.perf_counter()
    ours = two_way_agreement(cast, metric, resampling=resampling)
    seconds = (time.perf_counter() - started_at) / resampling.resamples
    few = Resampling(resamples=LOOPS)
    began_at = time.perf_counter()
    mean = np.mean(_by_votes(cast.comparison.tolist(), cast.annotator.tolist(), cast.choice.tolist(), metric, few.seed))
    loop = (time.perf_counter() - began_at) / LOOPS
    same = two_way_agreement(cast, metric, resampling=few)
    if not math.isclose((same.agreement.value or 0) + (same.bias or 0), mean, abs_tol=1e-12):
        raise SystemExit(f"the loop over votes gives a mean of {mean}, we {same}")
    print(f"comparisons and annotators resampled, {comparisons} x {votes}: {seconds * 1e3:.2f} ms a resample")
    print(
        f"  a loop over the votes {loop * 1e3:17.2f} ms   {loop / seconds:8.0f} times slower ({ours.agreement.n} rows)"
    )


def _by_votes(
    comparison: list[int], annotator: list[int], choice: list[int], metric: "np.typing.NDArray[np.int64]", seed: int
) -> list[float]:
    n, people = len(metric), max(annotator) + 1
    clusters = np.random.default_rng(seed).integers(0, n, size=(LOOPS, n))
    drawn = np.random.default_rng(seed + 1).integers(0, people, size=(LOOPS, people))
    shares = []
    for rows, who in zip(clusters, drawn, strict=True):
        times, weight = np.bincount(rows, minlength=n).tolist(), np.bincount(who, minlength=people).tolist()
        balance, is_there = [0] * n, [False] * n
        for row, person, said in zip(comparison, annotator, choice, strict=True):
            balance[row] += weight[person] * (1, -1, 0)[said]
            is_there[row] = is_there[row] or weight[person] > 0
        total = sum(t for t, there in zip(times, is_there, strict=True) if there)
        signs = np.sign(balance).tolist()
        right = sum(
            t for t, s, m, there in zip(times, signs, metric.tolist(), is_there, strict=True) if there and s == m
        )
        shares.append(right / total)
    return shares


def _set_up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()


def main() -> None:
    """Make each report, then the bootstraps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    alpha.add_arguments(parser)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for size in SIZES:
        child = context.Process(target=make, args=size)
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(f"the report of {size[0]} comparisons failed")
    alpha.compare_all(options)
    _set_up()
    for size in SIZES:
        resample_both_ways(*size)


if __name__ == "__main__":
    main()
