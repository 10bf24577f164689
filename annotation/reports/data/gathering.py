"""Read the data of a report from the database. Sealed columns are not read, so they cannot slip into a page."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from django.db.models import Case, Count, IntegerField, Min, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from numpy.typing import NDArray

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.models.assignment import IN_ORDER
from annotation.reports.data.gathering_checks import gather_checks
from annotation.reports.data.leaks import leak_rows, without_sources
from annotation.reports.data.metrics import (
    choose_metric,
    in_study,
    lower_metrics,
    scored_by,
    scored_sets,
    scores_of,
    seconds_per_thousand,
    unusable_scores,
)
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.reports.data.similarities import gather_matrices, gather_other_similarities, gather_similarities
from annotation.reports.data.study_data import (
    LEFT,
    MODEL_A,
    MODEL_B,
    RIGHT,
    TIE,
    UNKNOWN,
    AnnotatorRow,
    ComparisonArrays,
    EventRow,
    Exclusion,
    ManifestRow,
    ScoredComparisons,
    SealedData,
    Tombstone,
    UnsealedData,
    UnsealedVotes,
    VoteArrays,
    oriented,
)
from annotation.studies.comparisons import SIDES
from annotation.studies.manifest import Manifest
from annotation.studies.sealing import is_sealed
from annotation.voting.imports.import_runs import refuse_changed_imports, whole_imports
from annotation.voting.slots import FOR_A, FOR_TIE
from annotation.voting.withdrawal import refuse_unfinished_withdrawal
from generation.models import GeneratedImage

_CHUNK = 20_000  # rows in memory at once while votes stream into arrays
SCREENED_OUT = "annotator screened out"
T = TypeVar("T")


def gather(study: Study, *, manifest: Manifest, metric: str = "") -> SealedData:
    """Read everything that a report of the study is made from: UnsealedData, or SealedData while it is sealed.

    `metric` names one of the study's metrics; empty means the manifest's own, or the only one there is.
    Raises Refused if that leaves a choice. While the study is sealed no score and no model behind a vote is read.
    """
    imports = whole_imports(study)
    refuse_unfinished_withdrawal(study)
    scored = scored_by(study)
    chosen = choose_metric(tuple(scored), manifest=manifest, wanted=metric)
    annotators, names = list(study.annotators.order_by("pk")), pseudonyms(study)
    rows = list(study.comparisons.order_by("position").select_related("prompt", "image_set_a", "image_set_b"))
    votes, hides_results = main_votes(study), is_sealed(study, manifest=manifest)
    table = _vote_table(votes, rows=rows, annotators=annotators, sealed=hides_results)
    sealed = SealedData(
        manifest=manifest,
        leaks=leak_rows(manifest, [(row.label, names[row.pk]) for row in annotators]),
        state=study.state,
        opened_at=study.opened_at,
        closed_at=study.closed_at,
        first_vote_at=votes.aggregate(first=Min("received_at"))["first"],
        metric=chosen,
        metrics=tuple(scored),
        lower_metrics=lower_metrics(scored),
        unusable_scores=unusable_scores(study, rows),
        comparisons=_comparison_arrays(study, rows, manifest=manifest, metric=chosen),
        votes=VoteArrays(
            **{field.name: table[field.name] for field in fields(VoteArrays) if field.name != "exclusions"},
            exclusions=_exclusions(votes, rows=rows, annotators=annotators),
        ),
        late_count=votes.filter(state=Vote.State.LATE).count(),
        superseded_count=votes.filter(state=Vote.State.SUPERSEDED).count(),
        tombstones=_tombstones(annotators),
        checks=gather_checks(study, annotators, rows),
        annotators=tuple(
            AnnotatorRow(names[row.pk], row.kind, row.state, row.is_simulated, row.broken_rules) for row in annotators
        ),
        manifest_versions=tuple(
            ManifestRow(row.number, row.sha256, row.created_at, row.reason)
            for row in study.manifest_versions.order_by("number")
        ),
        events=tuple(EventRow(row.happened_at, row.verb, row.detail) for row in study.events.order_by("pk")),
    )
    sealed = without_sources(sealed)
    data = sealed if hides_results else _unsealed(study, sealed, rows, table)
    refuse_changed_imports(study, imports)
    return data


def _unsealed(study: Study, sealed: SealedData, rows: list[Comparison], table: dict[str, NDArray[Any]]) -> UnsealedData:
    """Read the scores and the models behind the votes, and return them with the sealed data."""
    others = [name for name in sealed.metrics if name != sealed.metric]
    score_a, score_b = _scores(study, rows, metric=sealed.metric)
    return _extended(
        UnsealedData,
        sealed,
        comparisons=_extended(ScoredComparisons, sealed.comparisons, score_a=score_a, score_b=score_b),
        votes=_extended(UnsealedVotes, sealed.votes, choice=table["choice"], left=table["left"]),
        margins={
            name: oriented(*_scores(study, rows, metric=name), is_lower=name in sealed.lower_metrics) for name in others
        },
        similarities=gather_similarities(rows, metric=sealed.metric),
        other_similarities=gather_other_similarities(rows, metrics=others),
        matrices=gather_matrices(rows, metrics=sealed.metrics),
        seconds_per_thousand=seconds_per_thousand(study, sealed.metrics),
    )


def _extended(kind: type[T], base: Any, **more: Any) -> T:
    """Return the values of `base` and the further fields of its subclass `kind`."""
    return kind(**{field.name: getattr(base, field.name) for field in fields(base)} | more)


def main_votes(study: Study) -> QuerySet[Vote]:
    """Return the study's votes on main assignments, the only ones that count for agreement and reliability."""
    return Vote.objects.filter(assignment__comparison__study=study, assignment__kind=Assignment.Kind.MAIN)


def _tombstones(annotators: Iterable[Annotator]) -> tuple[Tombstone, ...]:
    """Return the tombstones. Their id is the seed that a withdrawal draws anew: nothing was ever drawn from it."""
    stones = [
        Tombstone(f"{row.seed:016x}", row.withdrawn_vote_count, row.withdrawn_at)
        for row in annotators
        if row.withdrawn_at is not None
    ]
    return tuple(sorted(stones, key=lambda stone: (stone.withdrawn_at, stone.id)))


# --- comparisons --------------------------------------------------------------------------------
def _comparison_arrays(study: Study, rows: list[Comparison], *, manifest: Manifest, metric: str) -> ComparisonArrays:
    sets_a, sets_b = [row.image_set_a_id for row in rows], [row.image_set_b_id for row in rows]
    scored = scored_sets(study, metric=metric)
    images = GeneratedImage.objects.filter(in_study(study)).order_by().values_list("image_set")
    image_counts: dict[int, int] = dict(images.annotate(Count("pk")))
    codes: dict[str, int] = {}
    places = {key: place for place, key in enumerate(manifest.models)}
    return ComparisonArrays(
        position=_integers(row.position for row in rows),
        prompt=tuple(row.prompt.text for row in rows),
        cluster=_integers(codes.setdefault(row.cluster, len(codes)) for row in rows),
        images_a=_integers(image_counts.get(pk, 0) for pk in sets_a),
        images_b=_integers(image_counts.get(pk, 0) for pk in sets_b),
        planned_images=_integers(len(row.image_set_a.seeds) + len(row.image_set_b.seeds) for row in rows),
        is_scored=np.array([a in scored and b in scored for a, b in zip(sets_a, sets_b, strict=True)], dtype=bool),
        model_a=_integers(places[row.model_a] for row in rows),
        model_b=_integers(places[row.model_b] for row in rows),
    )


def _scores(study: Study, rows: list[Comparison], *, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of A and of B by a metric, (n,) each, NaN if missing."""
    score_of = scores_of(study, metric=metric)
    a, b = ([score_of.get(getattr(row, f"{side}_id"), np.nan) for row in rows] for side in SIDES)
    return np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)


def _integers(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)


# --- votes --------------------------------------------------------------------------------------
def _coded(*cases: tuple[Q, int], default: int) -> Case:
    """Return a condition as a small integer in SQL, so that a million votes never become a million strings."""
    whens = [When(condition, then=Value(code)) for condition, code in cases]
    return Case(*whens, default=Value(default), output_field=IntegerField())


_UNKNOWN_SIDES = Q(assignment__are_sides_known=False)
EXCLUDED = Q(excluded_at__isnull=False) | Q(assignment__annotator__state=Annotator.State.SCREENED_OUT)
CHOICE = _coded((FOR_TIE, TIE), (FOR_A, MODEL_A), default=MODEL_B)

_SIDE = _coded((FOR_TIE, TIE), (_UNKNOWN_SIDES, UNKNOWN), (Q(choice=Vote.Choice.LEFT), LEFT), default=RIGHT)
_IS_EXCLUDED = _coded((EXCLUDED, 1), default=0)
_LEFT_MODEL = _coded((_UNKNOWN_SIDES, UNKNOWN), (Q(assignment__left_model=Assignment.Side.A), MODEL_A), default=MODEL_B)

_OPEN_COLUMNS = (
    "assignment__comparison_id",
    "assignment__annotator_id",
    _SIDE,
    Coalesce("response_ms", Value(UNKNOWN)),
    _IS_EXCLUDED,
)
_SEALED_COLUMNS = (CHOICE, _LEFT_MODEL)
_ROW = [("comparison", "i8"), ("annotator", "i8"), ("side", "i1"), ("response_ms", "i4"), ("is_excluded", "?")]
_SEALED_ROW = [("choice", "i1"), ("left", "i1")]


def _vote_table(
    votes: QuerySet[Vote], *, rows: list[Comparison], annotators: list[Annotator], sealed: bool
) -> dict[str, NDArray[Any]]:
    """Return the standing votes by column, ordered by comparison and annotator; `arrival` has their own order."""
    columns = _OPEN_COLUMNS if sealed else _OPEN_COLUMNS + _SEALED_COLUMNS
    dtype = np.dtype(_ROW if sealed else _ROW + _SEALED_ROW)
    standing = votes.filter(state=Vote.State.STANDING).order_by(*IN_ORDER)
    table = np.fromiter(standing.values_list(*columns).iterator(chunk_size=_CHUNK), dtype=dtype)
    comparison = _places(table["comparison"], [row.pk for row in rows])
    annotator = _places(table["annotator"], [row.pk for row in annotators])
    order = np.lexsort((annotator, comparison))
    places = {"comparison": comparison[order], "annotator": annotator[order], "arrival": order}
    names = ("side", "response_ms", "is_excluded", *(() if sealed else ("choice", "left")))
    return {**places, **{name: table[name][order] for name in names}}


def _exclusions(votes: QuerySet[Vote], *, rows: list[Comparison], annotators: list[Annotator]) -> tuple[Exclusion, ...]:
    comparison_of = {row.pk: index for index, row in enumerate(rows)}
    annotator_of = {row.pk: index for index, row in enumerate(annotators)}
    excluded = votes.filter(EXCLUDED, state=Vote.State.STANDING).order_by(
        "assignment__comparison__position", "assignment__annotator_id"
    )
    return tuple(
        Exclusion(comparison_of[comparison], annotator_of[annotator], reason or SCREENED_OUT)
        for comparison, annotator, reason in excluded.values_list(
            "assignment__comparison_id", "assignment__annotator_id", "exclusion_reason"
        )
    )


def _places(keys: NDArray[np.int64], known: Sequence[int]) -> NDArray[np.int32]:
    """Return the place of each primary key in `known`."""
    if not known:
        return np.empty(0, dtype=np.int32)
    by_key = np.argsort(known)
    return by_key[np.searchsorted(np.sort(known), keys)].astype(np.int32)
