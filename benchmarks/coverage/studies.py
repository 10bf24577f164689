"""Simulated studies in the form that the report reads, and every estimate that it makes of them."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from annotation.reports.data.study_data import UnsealedData, UnsealedVotes
from annotation.reports.findings.agreement import agreement
from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.people import people, reliability
from annotation.reports.findings.scores import scores
from benchmarks.coverage.designs import Design, Drawn
from benchmarks.simulated_study import study_of
from scoring.statistics.inference.estimate import Estimate

FINDINGS = {
    "agreement": agreement.compute,
    "reliability": reliability.compute,
    "people": people.compute,
    "single_votes": people.of_single_votes,
    "scores": scores.compute,
}


def estimates(drawn: Drawn, design: Design, *, resamples: int) -> dict[str, Estimate]:
    """Return each estimate of the report's findings by its key in the document."""
    analysed = analyse(as_data(drawn, design, resamples=resamples))
    found = ((name, compute(analysed)) for name, compute in FINDINGS.items())
    return dict(row for name, value in found for row in _walk(value, name))


def as_data(drawn: Drawn, design: Design, *, resamples: int) -> UnsealedData:
    """Return a simulated study as the data of a report."""
    order = np.argsort(drawn.annotator, axis=1)
    who, for_a, left_a = (
        np.take_along_axis(column, order, axis=1).ravel()
        for column in (drawn.annotator, drawn.is_for_a, drawn.is_left_a)
    )
    comparison = np.repeat(np.arange(len(drawn.margin)), design.votes)
    votes = UnsealedVotes(
        comparison=comparison.astype(np.int32),
        annotator=who.astype(np.int32),
        side=np.where(for_a == left_a, 0, 1).astype(np.int8),
        choice=np.where(for_a, 0, 1).astype(np.int8),
        left=np.where(left_a, 0, 1).astype(np.int8),
        response_ms=np.full(len(who), 2000, dtype=np.int32),
        arrival=np.arange(len(who)),
        is_excluded=np.zeros(len(who), dtype=bool),
        exclusions=(),
    )
    return study_of(
        drawn.margin,
        votes,
        cluster=drawn.cluster,
        annotators=design.annotators,
        annotation={"overlap": design.votes},
        analysis={"resamples": resamples},
    )


def _walk(value: Any, path: str) -> Iterator[tuple[str, Estimate]]:
    if isinstance(value, Estimate):
        yield path, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _walk(getattr(value, field.name), f"{path}.{field.name}")
