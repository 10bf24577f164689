"""Export votes, one in each row: CSV, JSON Lines, Parquet. While the study is sealed, no column names a model.

A million rows pass through here a chunk at a time, column by column, as the database gives them: a dictionary or a
model instance for each row would take longer than all the rest.
"""

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import Aggregate, Func, QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler

from annotation.models import Annotator, Assignment, Comparison, Import, Study, Vote
from annotation.models.assignment import IN_ORDER
from annotation.reports.data.gathering import CHOICE, SCREENED_OUT
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.reports.data.study_data import MODEL_A, MODEL_B, TIE
from annotation.reports.exports.columns import COLUMNS
from annotation.reports.exports.writers import WRITERS, Chunk
from annotation.studies.manifest import Manifest
from annotation.studies.sealing import is_sealed
from annotation.voting.imports.import_runs import refuse_changed_imports, whole_imports
from annotation.voting.withdrawal import refuse_unfinished_withdrawal

_TIMES = ("shown_at", "voted_at", "received_at")
_OPEN_FIELDS = (
    "assignment__annotator_id",
    "assignment__annotator__kind",
    "assignment__annotator__state",
    "assignment__comparison__position",
    "assignment__comparison__prompt__text",
    "assignment__kind",
    "assignment__known_choice",
    "assignment__replaced_count",
    "assignment__are_sides_known",
    "assignment__rendition",
    "choice",
    "response_ms",
    "state",
    "exclusion_reason",
)
_SEALED_FIELDS = ("assignment__left_model", "assignment__left_images", "assignment__right_images")
_PAIR_FIELDS = ("assignment__comparison__model_a", "assignment__comparison__model_b")
_IMPORTED_FIELDS = ("assignment__imported__left_seeds", "assignment__imported__right_seeds")
_PLACES = {Assignment.Side.A.value: MODEL_A, Assignment.Side.B.value: MODEL_B}  # of a side, in a pair of models
_CHUNK = 5_000


def columns(study: Study, *, manifest: Manifest) -> tuple[str, ...]:
    """Return the columns of the study's export; while it is sealed, without those that tell models apart."""
    sealed, is_of_two = is_sealed(study, manifest=manifest), manifest.has_two_models
    left_out = {
        column.name for column in COLUMNS if (sealed and column.is_sealed) or (is_of_two and column.is_of_several)
    }
    return tuple(column.name for column in COLUMNS if column.name not in left_out)


def vote_chunks(study: Study, *, manifest: Manifest) -> Iterator[Chunk]:
    """Yield the votes of the study, ordered by comparison and annotator, some thousand at a time, as lists by column.

    `exports.columns` says what each column holds. Times are ISO 8601 in UTC. Nothing sealed is read.
    """
    sealed = is_sealed(study, manifest=manifest)
    imports = whole_imports(study)
    refuse_unfinished_withdrawal(study)
    names = pseudonyms(study)
    pairs = () if manifest.has_two_models else _PAIR_FIELDS
    fields = _OPEN_FIELDS if sealed else _OPEN_FIELDS + _SEALED_FIELDS + pairs + _imported_fields(study)
    times = {name: Iso(name) for name in _TIMES} | {"ordered_at": Iso(IN_ORDER[0])}
    computed = times | {"vote_id": Dashed("pk")} | ({} if sealed else {"chosen": CHOICE})
    seeds = None if sealed else _Seeds(study)
    for rows in _stream(_votes(study).values_list(*computed.values(), *fields)):
        values = dict(zip((*computed, *fields), map(list, zip(*rows, strict=True)), strict=True))
        chunk = _open_columns(values, names) | {"notice": [manifest.notice] * len(rows)}
        yield chunk | _sealed_columns(values, study, seeds) if seeds else chunk
    refuse_changed_imports(study, imports)


def write_votes(study: Study, path: Path, *, manifest: Manifest, export_format: str) -> int:
    """Write the study's votes to `path` in one of FORMATS and return their number."""
    count = 0
    with _no_garbage_collection(), WRITERS[export_format](path, columns(study, manifest=manifest)) as write:
        for chunk in vote_chunks(study, manifest=manifest):
            write(chunk)
            count += len(chunk["vote_id"])
    return count


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause garbage collection: rows hold no cycles, and searching them for cycles takes a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _imported_fields(study: Study) -> tuple[str, ...]:
    """Return the seeds as imported files named them; a study without such files runs without this join."""
    return _IMPORTED_FIELDS if study.imports.filter(kind=Import.Kind.VOTES).exists() else ()


def _votes(study: Study) -> QuerySet[Vote]:
    votes = Vote.objects.filter(assignment__comparison__study=study)
    # The order of the indexes of comparisons and of their assignments: only the votes on an assignment are sorted.
    return votes.order_by(
        "assignment__comparison__position",
        "assignment__annotator_id",
        "assignment__kind",
        "assignment__occurrence",
        *IN_ORDER,
    )


def _stream(rows: "QuerySet[Any, Any]") -> Iterator[list[Sequence[Any]]]:
    """Yield rows in chunks as the database has them, without converting a value."""
    sql, parameters = rows.query.sql_with_params()
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while chunk := cursor.fetchmany(_CHUNK):
            yield chunk


def _open_columns(values: dict[str, list[Any]], names: dict[int, str]) -> Chunk:
    are_known = values["assignment__are_sides_known"]
    states = values["assignment__annotator__state"]
    return {
        **{name: values[name] for name in ("vote_id", *_TIMES, "ordered_at")},
        "annotator": [names[pk] for pk in values["assignment__annotator_id"]],
        "simulated": [kind == Annotator.Kind.SIMULATED.value for kind in values["assignment__annotator__kind"]],
        "position": [position + 1 for position in values["assignment__comparison__position"]],
        "prompt": values["assignment__comparison__prompt__text"],
        "kind": values["assignment__kind"],
        "choice": [
            choice if is_known or choice == "tie" else ""
            for choice, is_known in zip(values["choice"], are_known, strict=True)
        ],
        "known_choice": values["assignment__known_choice"],
        "replaced_images": values["assignment__replaced_count"],
        "rendition": values["assignment__rendition"],
        "response_ms": values["response_ms"],
        "state": values["state"],
        "exclusion_reason": [
            reason or (SCREENED_OUT if state == Annotator.State.SCREENED_OUT.value else "")
            for reason, state in zip(values["exclusion_reason"], states, strict=True)
        ],
    }


def _sealed_columns(values: dict[str, list[Any]], study: Study, seeds: "_Seeds") -> Chunk:
    pairs = _pairs(values, study)
    are_known = values["assignment__are_sides_known"]
    # If images were replaced, both sets are of one model.
    are_two = [not replaced for replaced in values["assignment__replaced_count"]]
    chosen = [
        pair[code] if are_models and code != TIE else ""
        for pair, code, are_models in zip(pairs, values["chosen"], are_two, strict=True)
    ]
    lefts = values["assignment__left_model"]
    shown = ("assignment__comparison__position", "assignment__left_images", "assignment__right_images")
    orders = [seeds.in_order(*row) for row in zip(*(values[name] for name in shown), strict=True)]
    return {
        "model_a": [pair[MODEL_A] for pair in pairs],
        "model_b": [pair[MODEL_B] for pair in pairs],
        "left_model": [
            pair[_PLACES[left]] if is_known and are_models else ""
            for pair, left, is_known, are_models in zip(pairs, lefts, are_known, are_two, strict=True)
        ],
        "chosen_model": chosen,
        "choice": [
            choice if is_known else model or choice
            for choice, is_known, model in zip(values["choice"], are_known, chosen, strict=True)
        ],
        "left_seeds": _seeds([left for left, _right in orders], values.get("assignment__imported__left_seeds")),
        "right_seeds": _seeds([right for _left, right in orders], values.get("assignment__imported__right_seeds")),
    }


def _pairs(values: dict[str, list[Any]], study: Study) -> list[tuple[str, str]]:
    """Return the names of the models on side A and on side B, for each vote."""
    names = {key: model.name for key, model in study.model_by_key.items()}
    if _PAIR_FIELDS[0] not in values:
        first, second = names.values()
        return [(first, second)] * len(values["chosen"])
    return [(names[a], names[b]) for a, b in zip(*(values[field] for field in _PAIR_FIELDS), strict=True)]


def _seeds(shown: list[str], said: list[str | None] | None) -> list[str]:
    """Return the seeds of the images that were shown; of imported votes, those that their file names."""
    if said is None:
        return shown
    return [here if there is None else there for here, there in zip(shown, said, strict=True)]


class Iso(Func):
    """A time as ISO 8601 text in UTC, formatted by the database: Python takes seconds for a million of them."""

    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        """Rewrite the text that SQLite stores, "2026-03-01 12:00:00" in UTC."""
        template = "(replace(%(expressions)s, ' ', 'T') || '+00:00')"
        return super().as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        """Format the moment that PostgreSQL stores."""
        template = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00')"
        return super().as_sql(compiler, connection, template=template, **extra)


class Dashed(Func):
    """A UUID as text."""

    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        """Put dashes between the 32 digits that SQLite stores."""
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        joined = " || '-' || ".join(f"substr(%(expressions)s, {start}, {length})" for start, length in parts)
        return super().as_sql(compiler, connection, template=f"({joined})", **extra)

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        """Cast the type that PostgreSQL has for it."""
        return super().as_sql(compiler, connection, template="CAST(%(expressions)s AS text)", **extra)


class Joined(Aggregate):
    """The texts of a group, joined by commas; all such columns of a query have the same order."""

    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        """Use SQLite's function."""
        return super().as_sql(compiler, connection, function="group_concat", **extra)

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        """Use PostgreSQL's function."""
        template = "string_agg(%(expressions)s, ',')"
        return super().as_sql(compiler, connection, template=template, **extra)


def _seed_by_image(images: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Return seeds by image id; no image has no seed, and an image of another prompt is shown as a star."""
    return defaultdict(lambda: "*", {"": "", **dict(images)})


class _Seeds:
    """The seeds of a study's images, one comparison at a time, for positions that never go back."""

    def __init__(self, study: Study) -> None:
        self._sides = [_Side(study, letter) for letter in ("a", "b")]
        self._position, self._seed_of = -1, _seed_by_image()

    def in_order(self, position: int, *image_ids: str) -> list[str]:
        """Return, for each JSON list of image ids, the seeds in its order, separated by blanks."""
        if position != self._position:
            self._position = position
            self._seed_of = _seed_by_image(pair for side in self._sides for pair in side.images_at(position))
        return [" ".join(map(self._seed_of.__getitem__, ids[1:-1].split(", "))) for ids in image_ids]


class _Side:
    """The images of one model's sets, streamed in the order of the comparisons."""

    def __init__(self, study: Study, letter: str) -> None:
        images = f"image_set_{letter}__images"
        comparisons = Comparison.objects.filter(study=study, **{f"{images}__isnull": False}).order_by("position")
        # One row for each set: forty rows for each comparison would take longer to fetch than the votes.
        joined = {f"{name}s": Joined(Cast(f"{images}__{name}", TextField())) for name in ("pk", "seed")}
        sets = comparisons.values("position").annotate(**joined).values_list("position", *joined)
        self._sets = chain.from_iterable(_stream(sets))
        self._next: Sequence[Any] = (-1, "", "")

    def images_at(self, position: int) -> Iterable[tuple[str, str]]:
        """Return image ids with their seeds, for a comparison that is not before the last requested one."""
        while self._next[0] < position and (following := next(self._sets, None)):
            self._next = following
        at, image_ids, seeds = self._next
        return zip(image_ids.split(","), seeds.split(","), strict=True) if at == position else ()
