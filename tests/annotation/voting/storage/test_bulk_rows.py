"""Rows inserted in bulk equal those of `bulk_create`, and the database's constraints hold for them."""

import pytest
from django.db import IntegrityError, transaction

from annotation.models import Assignment, Vote
from annotation.voting.storage.bulk_rows import insert_rows
from tests.annotation.voting.open_studies import NOON, make_annotators, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

COLUMNS = ("comparison", "annotator", "left_model", "leased_at", "shown_at")


def test_rows_equal_those_of_bulk_create() -> None:
    study = make_study(comparisons=2, overlap=3)
    people = make_annotators(study, 2)
    first, second = study.comparisons.order_by("position")
    for annotator, shown_at in zip(people, (NOON, None), strict=True):
        row = (first.pk, annotator.pk, "b", NOON, shown_at)
        insert_rows(Assignment, COLUMNS, [row], {"state": "voted"})
        Assignment.objects.bulk_create(
            [
                Assignment(
                    comparison=second,
                    annotator=annotator,
                    left_model="b",
                    leased_at=NOON,
                    shown_at=shown_at,
                    state="voted",
                )
            ]
        )
    own = {"id", "comparison_id"}
    rows = [
        [{name: value for name, value in row.items() if name not in own} for row in comparison.assignments.values()]
        for comparison in (first, second)
    ]
    assert len(rows[0]) == 2
    assert rows[0] == rows[1]


def test_nothing_to_insert_is_no_statement() -> None:
    insert_rows(Vote, ("assignment", "choice"), [], {})
    assert not Vote.objects.exists()


def test_constraints_hold() -> None:
    study = make_study(comparisons=1, overlap=3)
    (person,) = make_annotators(study, 1)
    row = (study.comparisons.get().pk, person.pk, "a", NOON, None)
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Assignment, COLUMNS, [row, row], {"state": "voted"})
    assert not Assignment.objects.exists()
