"""Prepared statements do what the querysets they are made of do."""

import uuid

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from annotation.models import Annotator, Assignment, Comparison, Vote
from annotation.voting.storage.prepared import Insert, Select, Update, given
from tests.annotation.voting.studies import NOON, after, make_annotators, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

OF_ANNOTATOR = Select(
    lambda: (
        Assignment.objects.filter(annotator=given("annotator", Annotator.id))
        .select_related("comparison__prompt")
        .order_by("comparison__position")
    )
)
TIMES = Select(
    lambda: (
        Assignment.objects.filter(annotator=given("annotator", Annotator.id))
        .order_by("comparison__position")
        .values_list("comparison__position", "leased_at", "left_images")
    )
)
GROW = Update(
    lambda: (
        Comparison.objects.filter(overlap=given("overlap", Comparison.overlap)),
        {"overlap": F("overlap") + given("more", Comparison.overlap)},
    )
)


@pytest.fixture
def annotator() -> Annotator:
    study = make_study(comparisons=2, overlap=2)
    first, second = make_annotators(study, 2)
    for one in (first, second):
        for comparison in study.comparisons.order_by("-position"):
            Assignment.objects.create(
                comparison=comparison,
                annotator=one,
                state="voted",
                left_model="b",
                left_images=[comparison.position, one.pk],
                leased_at=after(seconds=comparison.position),
                shown_at=NOON,
            )
    return second


def test_rows_are_those_of_the_queryset_with_what_is_related(annotator: Annotator) -> None:
    for _first_use_and_later in range(2):
        with CaptureQueriesContext(connection) as queries:
            rows = OF_ANNOTATOR.rows(annotator=annotator.pk)
            assert [row.comparison.prompt.text for row in rows] == ["prompt 1", "prompt 2"]
        assert len(queries) == 1
        expected = list(annotator.assignments.order_by("comparison__position"))
        assert rows == expected
        for row, wanted in zip(rows, expected, strict=True):
            for field in Assignment._meta.concrete_fields:
                assert getattr(row, field.attname) == getattr(wanted, field.attname)


def test_values_come_as_the_fields_have_them(annotator: Annotator) -> None:
    wanted = [(0, NOON, [0, annotator.pk]), (1, after(seconds=1), [1, annotator.pk])]
    assert TIMES.values(annotator=annotator.pk) == wanted
    assert TIMES.values(annotator=0) == []
    assert OF_ANNOTATOR.first(annotator=0) is None


def test_an_update_changes_and_counts_what_fits(annotator: Annotator) -> None:
    assert GROW(overlap=2, more=3) == 2
    assert GROW(overlap=2, more=3) == 0
    assert list(annotator.study.comparisons.values_list("overlap", flat=True)) == [5, 5]


def test_an_insert_stores_the_whole_row_and_gives_its_key(annotator: Annotator) -> None:
    assignment = annotator.assignments.all()[0]
    this = Vote(id=uuid.uuid4(), assignment=assignment, choice="left", received_at=NOON, response_ms=7)
    Insert(Vote)(this)
    stored = Vote.objects.get()
    for field in Vote._meta.concrete_fields:
        assert getattr(stored, field.attname) == getattr(this, field.attname)
    Assignment.objects.all().delete()
    made = Assignment(comparison=assignment.comparison, annotator=annotator, state="voted", left_model="a")
    made.leased_at, made.right_images = NOON, [3, 1, 2]
    assert Insert(Assignment)(made) == Assignment.objects.get().pk
    assert Assignment.objects.get().right_images == [3, 1, 2]
