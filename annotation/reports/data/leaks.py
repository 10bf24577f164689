"""Leave out the votes of annotators whom a metric comes from: it would be judged by its own source. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from annotation.reports.data.study_data import Exclusion, LeakRow, SealedData, VoteArrays
from annotation.studies.manifest import Manifest

SOURCE_OF_METRIC = "the metric comes from this annotator"
Data = TypeVar("Data", bound=SealedData)
Arrays = TypeVar("Arrays", bound=VoteArrays)


def leak_rows(manifest: Manifest, annotators: Sequence[tuple[str, str]]) -> tuple[LeakRow, ...]:
    """Return what the manifest declares of each metric.

    annotators: the label, which may be empty, and the pseudonym of each. A declared name is a label, or else a
    pseudonym.
    """
    known: dict[str, list[str]] = {}
    for label, pseudonym in annotators:
        known.setdefault(label, []).append(pseudonym)
    for _label, pseudonym in annotators:
        known.setdefault(pseudonym, [pseudonym])
    rows = []
    for metric, leak in manifest.analysis.leaks_from.items():
        for name in leak.annotators:
            rows += [LeakRow(metric, name, pseudonym) for pseudonym in known.get(name, [""])]
        if leak.prompts:
            rows.append(LeakRow(metric))
    tuned = (plan.identity(manifest.encoder) for plan in manifest.metrics if plan.tuned_on_prompts)
    rows += [LeakRow(metric) for metric in tuned if LeakRow(metric) not in rows]
    return tuple(rows)


def without_sources(data: Data) -> Data:
    """Return the data with the votes excluded that the reported metric comes from."""
    names = sources(data, [data.metric])
    places = [place for place, row in enumerate(data.annotators) if row.pseudonym in names]
    return replace(data, votes=_excluding(data.votes, places)) if places else data


def sources(data: SealedData, metrics: Iterable[str]) -> frozenset[str]:
    """Return the pseudonyms of the annotators whom any of these metrics comes from."""
    wanted = set(metrics)
    return frozenset(row.pseudonym for row in data.leaks if row.metric in wanted and row.pseudonym)


def _excluding(votes: Arrays, annotators: Sequence[int]) -> Arrays:
    """Exclude the votes of annotators, in their place among the exclusions; a vote keeps an earlier reason."""
    is_new = np.isin(votes.annotator, annotators) & ~votes.is_excluded
    added = zip(votes.comparison[is_new].tolist(), votes.annotator[is_new].tolist(), strict=True)
    exclusions = [*votes.exclusions, *(Exclusion(*place, SOURCE_OF_METRIC) for place in added)]
    return replace(
        votes,
        is_excluded=votes.is_excluded | is_new,
        exclusions=tuple(sorted(exclusions, key=lambda row: (row.comparison, row.annotator))),
    )
