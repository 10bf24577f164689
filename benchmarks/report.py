"""The full report of a small and of a very large study, and a bootstrap compared with the naive way, in one run.

    python -m benchmarks.report [--resamples 2000] [--called 20]

Each report is made in a process of its own, whose peak of resident memory is given. Then `benchmarks.alpha` sets the
bootstrap of Krippendorff's alpha against the krippendorff package. Figures that differ stop the run.
"""

import argparse
import multiprocessing
import os
import resource
import time

from benchmarks import alpha

SIZES = ((100, 10, 40), (10_000, 100, 1_000))  # comparisons, votes of each, annotators


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


def _set_up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    import scipy

    django.setup()
    _ = scipy.stats  # loaded once in a process, and no part of a report


def main() -> None:
    """Make each report, then the bootstrap."""
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


if __name__ == "__main__":
    main()
