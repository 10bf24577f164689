"""Whole reports of studies whose comparisons share clusters, and of many annotators: right, the same twice, how long.

    python -m benchmarks.clustered

The headline and its interval are computed again here, by the formula of docs/report.md and not by the report's code.
The time is the processor's, of statistics and JSON.
"""

import os
import time
from dataclasses import dataclass

import django
import numpy as np
import scipy.stats
from numpy.typing import NDArray

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from annotation.reports.data.study_data import MODEL_A, MODEL_B, UnsealedData
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import to_json
from annotation.reports.report import build_report
from benchmarks.simulated_study import simulated_votes, study_of

SEED = 3
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Design:
    """A study: `comparisons` in `clusters` of one size, `votes` on each by `annotators` people."""

    name: str
    comparisons: int
    clusters: int
    votes: int
    annotators: int


DESIGNS = (
    Design("5 clusters of 10", 50, 5, 5, 20),
    Design("20 clusters of 5", 100, 20, 5, 20),
    Design("40 clusters of 5", 200, 40, 5, 30),
    Design("300 annotators", 300, 300, 5, 300),
    Design("5,000 comparisons in 40 clusters", 5000, 40, 5, 60),
)


def drawn(design: Design) -> UnsealedData:
    """Draw the study; comparisons of a cluster share part of what people and metric see."""
    rng, n = np.random.default_rng(SEED), design.comparisons
    cluster = np.arange(n) // (n // design.clusters)
    lean = 0.3 + rng.normal(0, 0.7, design.clusters)[cluster] + rng.normal(0, 0.7, n)
    margin = lean + rng.normal(0, 0.7, n)
    cast = simulated_votes(rng, lean, votes=design.votes, annotators=design.annotators)
    return study_of(margin, cast, cluster=cluster, annotators=design.annotators, annotation={"ties": True})


def counted_again(data: UnsealedData) -> tuple[float, float, float]:
    """Return the strict agreement with Wilson's interval of n / design effect comparisons and Student's t."""
    n, cluster = len(data.comparisons), data.comparisons.cluster
    of_a, of_b = (_votes_for(data, model) for model in (MODEL_A, MODEL_B))
    agrees = (np.sign(of_a - of_b) == np.sign(data.margin())).astype(np.float64)
    share, groups, effective = float(agrees.mean()), len(np.unique(cluster)), float(n)
    reach = float(scipy.stats.norm.ppf(0.975))
    if groups < n:
        sums = np.bincount(cluster, agrees - share)
        variance = groups / (groups - 1) * float((sums**2).sum()) / n**2
        effective = n / max(1.0, variance / (share * (1 - share) / n))
        reach = float(scipy.stats.t.ppf(0.975, groups - 1))
    square = reach**2 / effective
    centre = (share + square / 2) / (1 + square)
    half = reach / (1 + square) * float(np.sqrt(share * (1 - share) / effective + square / effective / 4))
    return share, centre - half, centre + half


def _votes_for(data: UnsealedData, model: int) -> NDArray[np.int64]:
    return np.bincount(data.votes.comparison[data.votes.choice == model], minlength=len(data.comparisons))


def headline(report: AgreementReport) -> tuple[float, float, float]:
    """Return the headline of a report with its interval."""
    if report.results is None:
        raise SystemExit("The report is sealed.")
    found = report.results.agreement.headline
    if found.value is None or found.low is None or found.high is None:
        raise SystemExit(f"The headline is undefined: {found.reason}.")
    return found.value, found.low, found.high


def main() -> None:
    """Make each report twice, compare, and print one line each."""
    for design in DESIGNS:
        data, begun = drawn(design), time.process_time()
        report = build_report(data)
        text = to_json(report)
        seconds = time.process_time() - begun
        expected, found = counted_again(data), headline(report)
        if to_json(build_report(data)) != text or not np.allclose(found, expected, atol=TOLERANCE, rtol=0):
            raise SystemExit(f"{design.name}: {found}, counted again {expected}, or another report the second time.")
        value, low, high = (100 * one for one in found)
        print(f"{design.name:34} {seconds:5.1f} s  {value:.1f} % [{low:.1f}, {high:.1f}]", flush=True)


if __name__ == "__main__":
    main()
