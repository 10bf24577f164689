"""Votes as long rows, one a vote, streamed: CSV, JSON Lines, Parquet. While sealed, without any model column."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import QuerySet

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.reports.cells import cell
from annotation.reports.gathering import SCREENED_OUT, is_sealed
from annotation.reports.study_data import pseudonym
from annotation.studies.manifest import Manifest

Row = dict[str, Any]

_TIME = pa.timestamp("us", tz="UTC")
_COLUMNS: dict[str, Any] = {
    "vote_id": pa.string(),
    "annotator": pa.string(),
    "simulated": pa.bool_(),
    "position": pa.int32(),
    "prompt": pa.string(),
    "kind": pa.string(),
    "choice": pa.string(),
    "left_model": pa.string(),
    "chosen_model": pa.string(),
    "shown_at": _TIME,
    "voted_at": _TIME,
    "received_at": _TIME,
    "response_ms": pa.int32(),
    "state": pa.string(),
    "exclusion_reason": pa.string(),
    "notice": pa.string(),
}
_SEALED_COLUMNS = ("left_model", "chosen_model")
_FIELDS = (
    "pk",
    "assignment__annotator_id",
    "assignment__annotator__kind",
    "assignment__annotator__state",
    "assignment__comparison__position",
    "assignment__comparison__prompt__text",
    "assignment__kind",
    "assignment__are_sides_known",
    "choice",
    "shown_at",
    "voted_at",
    "received_at",
    "response_ms",
    "state",
    "exclusion_reason",
)
_CHUNK = 20_000


def columns(study: Study, *, manifest: Manifest) -> tuple[str, ...]:
    """The columns of the study's export: without `left_model` and `chosen_model` while it is sealed."""
    hidden = _SEALED_COLUMNS if is_sealed(study, manifest=manifest) else ()
    return tuple(name for name in _COLUMNS if name not in hidden)


def vote_rows(study: Study, *, manifest: Manifest) -> Iterator[Row]:
    """Every vote of the study, ordered by comparison, annotator and arrival.

    annotator: a pseudonym, in order of arrival, as in the report. position: from 1. choice: left, right or tie; where
    the sides are not known the name of the model, and empty while that is sealed. chosen_model is empty for a tie,
    left_model where the sides are not known. Times are UTC. Nothing that is sealed is read.
    """
    sealed = is_sealed(study, manifest=manifest)
    names = {annotator: pseudonym(number) for number, annotator in enumerate(_annotators(study), start=1)}
    models: dict[str, str] = {Assignment.Side.A: study.model_a.name, Assignment.Side.B: study.model_b.name}
    fields = _FIELDS if sealed else (*_FIELDS, "assignment__left_model")
    for values in _votes(study).values(*fields).iterator(chunk_size=_CHUNK):
        row = _open_row(values, annotator=names[values["assignment__annotator_id"]], notice=manifest.notice)
        yield row if sealed else row | _models_behind(values, models)


def write_votes(study: Study, path: Path, *, manifest: Manifest, export_format: str) -> int:
    """Write the study's votes to `path` in one of FORMATS and return how many there are."""
    rows = vote_rows(study, manifest=manifest)
    return WRITERS[export_format](rows, path, columns(study, manifest=manifest))


def _annotators(study: Study) -> QuerySet[Annotator, int]:
    return study.annotators.order_by("pk").values_list("pk", flat=True)


def _votes(study: Study) -> QuerySet[Vote]:
    votes = Vote.objects.filter(assignment__comparison__study=study)
    return votes.order_by("assignment__comparison__position", "assignment__annotator_id", "received_at", "pk")


def _open_row(values: Mapping[str, Any], *, annotator: str, notice: str) -> Row:
    is_side_known = values["assignment__are_sides_known"] or values["choice"] == Vote.Choice.TIE
    is_screened_out = values["assignment__annotator__state"] == Annotator.State.SCREENED_OUT
    return {
        "vote_id": str(values["pk"]),
        "annotator": annotator,
        "simulated": values["assignment__annotator__kind"] == Annotator.Kind.SIMULATED,
        "position": values["assignment__comparison__position"] + 1,
        "prompt": values["assignment__comparison__prompt__text"],
        "kind": values["assignment__kind"],
        "choice": values["choice"] if is_side_known else "",
        **{name: values[name] for name in ("shown_at", "voted_at", "received_at", "response_ms", "state")},
        "exclusion_reason": values["exclusion_reason"] or (SCREENED_OUT if is_screened_out else ""),
        "notice": notice,
    }


def _models_behind(values: Mapping[str, Any], models: Mapping[str, str]) -> Row:
    left = values["assignment__left_model"]
    right = Assignment.Side.B if left == Assignment.Side.A else Assignment.Side.A
    chosen = {Vote.Choice.LEFT: models[left], Vote.Choice.RIGHT: models[right]}.get(values["choice"], "")
    if values["assignment__are_sides_known"]:
        return {"left_model": models[left], "chosen_model": chosen}
    return {"left_model": "", "chosen_model": chosen, "choice": chosen or values["choice"]}


# --- formats ------------------------------------------------------------------------------------
def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _write_csv(rows: Iterator[Row], path: Path, names: Sequence[str]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for chunk in _chunks(rows):
            writer.writerows([cell(row[name]) for name in names] for row in chunk)
            count += len(chunk)
    return count


def _write_jsonl(rows: Iterator[Row], path: Path, names: Sequence[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for chunk in _chunks(rows):
            documents = ({name: _text(row[name]) for name in names} for row in chunk)
            file.writelines(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
            count += len(chunk)
    return count


def _write_parquet(rows: Iterator[Row], path: Path, names: Sequence[str]) -> int:
    schema = pa.schema([(name, _COLUMNS[name]) for name in names])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for chunk in _chunks(rows):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))
            count += len(chunk)
    return count


WRITERS: dict[str, Callable[[Iterator[Row], Path, Sequence[str]], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
FORMATS = tuple(WRITERS)
