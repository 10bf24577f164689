"""The statements of a vote, written as SQL, give and change the rows that querysets do."""

import inspect
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, Q
from django.db.models.functions import Abs
from django.test.utils import CaptureQueriesContext

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.models.annotator import PEOPLE
from annotation.voting.assignment import unseen
from annotation.voting.rules import Order
from annotation.voting.storage import lease_statements, sql, vote_statements
from annotation.voting.storage.lease_statements import first_free, store_lease
from annotation.voting.storage.vote_statements import (
    Counts,
    counts_of,
    locked_assignment,
    renewed_leases,
    store_answer,
    store_vote,
)
from generation.models import GeneratedImage
from tests.annotation.voting.open_studies import NOON, after, make_annotators, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ORDERS: dict[Order, tuple[str, ...]] = {
    "even": ("slot_count",),
    "nearly_done": ("-slot_count",),
    "split": ("margin", "slot_count"),
    "drawn": ("turn",),
}


def assert_same(row: Model, wanted: Model, *, without: frozenset[str] = frozenset()) -> None:
    """Every field that the row has, and at least all but those `without`, has the value that Django reads."""
    names = {field.attname for field in wanted._meta.concrete_fields}
    assert row.get_deferred_fields() <= without
    for name in names - row.get_deferred_fields():
        assert (name, getattr(row, name)) == (name, getattr(wanted, name))


def make_assignment(annotator: Annotator, position: int, state: str, **values: Any) -> Assignment:
    if state == "leased":
        values = {"lease_expires_at": after(seconds=600), **values}
    comparison = annotator.study.comparisons.get(position=position)
    values = {"left_model": "a", "leased_at": NOON, **values}
    return Assignment.objects.create(comparison=comparison, annotator=annotator, state=state, **values)


@pytest.fixture
def study() -> Study:
    """Nine comparisons, of which some are full, set aside, decided, and none has the same votes as the next."""
    study = make_study(comparisons=9, overlap=3, images=3)
    for comparison in study.comparisons.all():
        votes = comparison.position % 3
        slots = 3 if comparison.position == 4 else votes
        study.comparisons.filter(pk=comparison.pk).update(slot_count=slots, vote_count=votes, lead=-votes, turn=votes)
    study.comparisons.filter(position=5).update(parked_at=NOON)
    study.comparisons.filter(position=8).update(decided_at=NOON, overlap=3, slot_count=3, vote_count=3, lead=3)
    return study


@pytest.fixture
def annotator(study: Study) -> Annotator:
    """One who has answered, holds, reported and gave back comparisons; another one has, too."""
    other, annotator = make_annotators(study, 2)
    make_assignment(other, 0, "voted")
    make_assignment(annotator, 1, "voted", left_model="b", shown_at=NOON, left_images=[3, 1, 2])
    make_assignment(annotator, 2, "late")
    make_assignment(annotator, 3, "leased", is_ahead=True, leased_at=after(seconds=1), right_images=[7])
    make_assignment(annotator, 6, "released", left_model="b")
    make_assignment(annotator, 7, "reported")
    make_assignment(annotator, 7, "voted", kind="repeat")
    return annotator


@pytest.mark.parametrize("allocation", ORDERS)
@pytest.mark.parametrize("is_patient", [False, True])
def test_the_search_finds_what_the_queryset_finds(annotator: Annotator, allocation: Order, is_patient: bool) -> None:
    free = [one for one in unseen(annotator).select_related("prompt") if one.slot_count < one.overlap]
    assert [one.position for one in free] == [0, 6]
    study = annotator.study
    study.comparisons.filter(position=0).update(slot_count=1, vote_count=1, lead=1, turn=1)
    make_assignment(annotator, 4, "released")
    study.comparisons.filter(position=4).update(slot_count=1, vote_count=1, lead=1, turn=1)
    for start in range(10):
        equal = unseen(annotator).filter(slot_count__lt=3).annotate(margin=Abs("lead")).order_by(*ORDERS[allocation])
        first = equal[0]
        equal = equal.filter(slot_count=first.slot_count, margin=first.margin).order_by("position")
        wanted = equal.filter(position__gte=start).first() or equal[0]
        fetched = first_free(annotator, allocation=allocation, start=start, is_patient=is_patient)
        assert fetched is not None
        assert_same(fetched.comparison, wanted, without=frozenset(fetched.comparison.get_deferred_fields()))
        assert_same(fetched.comparison.prompt, wanted.prompt)
        for ids, image_set in ((fetched.images_a, wanted.image_set_a), (fetched.images_b, wanted.image_set_b)):
            assert ids == list(
                GeneratedImage.objects.filter(image_set=image_set).order_by("seed").values_list("pk", flat=True)
            )


def test_the_search_by_margin_passes_over_comparisons_without_one(annotator: Annotator) -> None:
    annotator.study.comparisons.update(lead=None, decided_at=None)
    assert first_free(annotator, allocation="split", start=0, is_patient=False) is None
    assert first_free(annotator, allocation="even", start=0, is_patient=False) is not None


def test_the_search_in_the_drawn_order_passes_over_comparisons_without_a_turn(annotator: Annotator) -> None:
    annotator.study.comparisons.update(turn=None)
    assert first_free(annotator, allocation="drawn", start=0, is_patient=False) is None


def test_nothing_is_free_in_a_study_that_is_full(annotator: Annotator) -> None:
    annotator.study.comparisons.update(slot_count=3)
    assert first_free(annotator, allocation="even", start=0, is_patient=False) is None


def test_the_assignment_of_a_link_comes_with_its_annotator_and_study(annotator: Annotator) -> None:
    wanted = annotator.assignments.select_related("annotator__study").get(state="leased")
    with CaptureQueriesContext(connection) as queries:
        fetched = locked_assignment(wanted.pk, annotator_id=annotator.pk, token=annotator.token)
        assert fetched is not None
        assert_same(fetched, wanted, without=frozenset({"left_images", "right_images"}))
        assert_same(fetched.annotator, wanted.annotator, without=frozenset({"platform_parameters"}))
        assert_same(fetched.annotator.study, wanted.annotator.study)
    assert len(queries) == 1


def test_the_assignment_of_another_link_is_not_found(annotator: Annotator) -> None:
    other = annotator.study.annotators.exclude(pk=annotator.pk).get()
    own, foreign = annotator.assignments.get(state="leased"), other.assignments.get()
    assert locked_assignment(foreign.pk, annotator_id=annotator.pk, token=annotator.token) is None
    assert locked_assignment(foreign.pk, annotator_id=other.pk, token=annotator.token) is None
    assert locked_assignment(own.pk, annotator_id=annotator.pk, token=other.token) is None
    for kind in Annotator.Kind:
        Annotator.objects.filter(pk=annotator.pk).update(kind=kind)
        fetched = locked_assignment(own.pk, annotator_id=annotator.pk, token=annotator.token)
        assert (fetched is not None) == (kind in PEOPLE)


@pytest.mark.parametrize("is_patient", [False, True])
def test_leases_are_renewed_and_come_in_their_order(annotator: Annotator, is_patient: bool) -> None:
    make_assignment(annotator, 0, "leased", is_ahead=True, leased_at=NOON)
    make_assignment(annotator, 4, "leased", kind="ladder", leased_at=after(seconds=9), replaced_count=2)
    ends_at, ahead_ends_at = after(seconds=700), after(seconds=100)
    leases, counts = renewed_leases(annotator, ends_at=ends_at, ahead_ends_at=ahead_ends_at, is_patient=is_patient)
    stored = annotator.assignments.filter(state="leased").order_by("is_ahead", "leased_at", "pk")
    assert [one.comparison.position for one in leases] == [4, 0, 3]
    assert [one.lease_expires_at for one in stored] == [ends_at, ahead_ends_at, ahead_ends_at]
    for lease, wanted in zip(leases, stored.select_related("comparison__prompt"), strict=True):
        assert_same(lease, wanted)
        assert_same(lease.comparison, wanted.comparison, without=frozenset(lease.comparison.get_deferred_fields()))
        assert_same(lease.comparison.prompt, wanted.comparison.prompt)
    assert counts == counts_of(annotator) == wanted_counts(annotator)


def test_the_first_held_ahead_comes_on_the_screen(annotator: Annotator) -> None:
    other = annotator.study.annotators.exclude(pk=annotator.pk).get()
    make_assignment(other, 3, "leased", is_ahead=True)
    leases, _counts = renewed_leases(annotator, ends_at=NOON, ahead_ends_at=after(seconds=1), is_patient=False)
    (lease,) = leases
    assert (lease.is_ahead, lease.lease_expires_at) == (False, NOON)
    assert_same(lease, annotator.assignments.get(state="leased"))
    assert other.assignments.get(state="leased").lease_expires_at == after(seconds=600)


def test_counts_of_an_annotator_who_holds_nothing(annotator: Annotator) -> None:
    annotator.assignments.filter(state="leased").delete()
    leases, counts = renewed_leases(annotator, ends_at=NOON, ahead_ends_at=NOON, is_patient=False)
    assert leases == []
    assert counts == wanted_counts(annotator)
    assert counts == (4, 2, 2, 8)


def wanted_counts(annotator: Annotator) -> Counts:
    main = annotator.assignments.filter(kind="main")
    last = annotator.study.comparisons.order_by("-position")[0]
    answered = main.filter(Q(state="voted") | Q(state="late"))
    return Counts(main.count(), main.filter(left_model="a").count(), answered.count(), last.position)


def test_a_lease_is_stored_as_it_is_and_takes_a_slot(annotator: Annotator) -> None:
    for left, position, lead in (("a", 0, 1), ("b", 6, -1)):
        comparison = annotator.study.comparisons.get(position=position)
        annotator.assignments.filter(comparison=comparison).delete()
        made = Assignment(comparison=comparison, annotator=annotator, state="leased", left_model=left)
        made.left_images, made.right_images, made.is_ahead = [5, 6], [8, 7], position == 6
        made.leased_at, made.lease_expires_at = NOON, after(seconds=5)
        assert store_lease(made)
        assert_same(made, Assignment.objects.get(pk=made.pk))
        stored = Comparison.objects.get(pk=comparison.pk)
        assert (stored.slot_count, stored.left_lead) == (comparison.slot_count + 1, lead)


@pytest.mark.parametrize("position", [4, 8])
def test_a_comparison_that_is_full_or_decided_gives_no_slot(annotator: Annotator, position: int) -> None:
    annotator.study.comparisons.filter(position=8).update(overlap=4)
    comparison = annotator.study.comparisons.get(position=position)
    made = Assignment(comparison=comparison, annotator=annotator, state="leased", left_model="a")
    made.leased_at, made.lease_expires_at = NOON, NOON
    assert not store_lease(made)
    assert_same(Comparison.objects.get(pk=comparison.pk), comparison)
    assert not annotator.assignments.filter(comparison=comparison).exists()


def make_vote(assignment: Assignment, **values: Any) -> Vote:
    vote = Vote(assignment=assignment, choice="left", shown_at=NOON, received_at=after(seconds=9), response_ms=812)
    for name, value in values.items():
        setattr(vote, name, value)
    return vote


@pytest.mark.parametrize(("lead", "counter"), [(1, "votes_a"), (-1, "votes_b"), (0, "votes_tie"), (None, "")])
def test_an_answer_is_stored_and_counted(annotator: Annotator, lead: int | None, counter: str) -> None:
    assignment = annotator.assignments.get(state="leased")
    Comparison.objects.filter(pk=assignment.comparison_id).update(slot_count=1)
    before = Comparison.objects.get(pk=assignment.comparison_id)
    vote = make_vote(assignment, voted_at=NOON + timedelta(microseconds=1), choice="tie")
    assert store_answer(vote, rendition="grid2x", lead=lead)
    assert_same(vote, Vote.objects.get())
    stored = Assignment.objects.get(pk=assignment.pk)
    assignment.state, assignment.shown_at, assignment.rendition = Assignment.State.VOTED, NOON, "grid2x"
    assignment.is_ahead, assignment.lease_expires_at = False, None
    assert_same(assignment, stored)
    if lead is not None:
        assert before.lead is not None
        before.vote_count, before.lead = 1, before.lead + lead
        setattr(before, counter, 1)
    assert_same(before, Comparison.objects.get(pk=before.pk))


@pytest.mark.parametrize("state", ["voted", "late", "released", "reported"])
def test_nothing_is_stored_for_an_assignment_that_is_not_leased(annotator: Annotator, state: str) -> None:
    assignment = annotator.assignments.filter(state=state, kind="main").get()
    before = Comparison.objects.get(pk=assignment.comparison_id)
    assert not store_answer(make_vote(assignment), rendition="", lead=1)
    assert not Vote.objects.exists()
    assert_same(Assignment.objects.get(pk=assignment.pk), assignment)
    assert_same(Comparison.objects.get(pk=before.pk), before)


def test_a_vote_id_counts_once(annotator: Annotator) -> None:
    assignment, other = annotator.assignments.get(state="leased"), annotator.assignments.get(state="late")
    first = make_vote(other, pk=uuid.uuid4(), state="late", shown_at=None)
    assert store_vote(first)
    assert_same(first, Vote.objects.get())
    again = make_vote(assignment, pk=first.pk)
    assert not store_vote(again)
    assert not store_answer(again, rendition="", lead=1)
    assert_same(Assignment.objects.get(pk=assignment.pk), assignment)
    assert_same(first, Vote.objects.get())


def test_on_postgresql_the_server_keeps_the_plans(annotator: Annotator) -> None:
    for _often in range(7):
        counts_of(annotator)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            assert any("AS with_a_left" in statement for (statement,) in cursor.fetchall())


@pytest.mark.parametrize("allocation", ORDERS)
def test_on_postgresql_the_prepared_search_reads_the_free_comparisons_in_order(allocation: Order) -> None:
    """Else it would sort all comparisons that are left, at each vote."""
    if connection.vendor != "postgresql":
        return
    study = make_study(comparisons=200, overlap=3, images=1)
    search = lease_statements._FIRST_FREE[allocation, False][0]._sql["postgresql"]
    numbered = search % {"annotator": "$1", "study": "$2", "start": "$3"}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_comparison")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE search (bigint, bigint, bigint) AS {numbered}")
        cursor.execute(f"EXPLAIN EXECUTE search (1, {study.pk}, 700)")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE search")
    assert 'Sort Key: c."position"' not in plan, plan


def test_what_is_relied_on_of_django_beyond_its_documentation_is_there() -> None:
    """The rest of `storage.sql` is documented: `cursor`, `vendor`, `from_db`, `get_internal_type`, `get_fields`."""
    source = inspect.getsource(sql)
    for name in ("make_cursor", "make_debug_cursor", "queries_logged", "ensure_connection"):
        assert f"database.{name}" in source
        assert hasattr(BaseDatabaseWrapper, name)
    assert "database.ops.adapt_datetimefield_value" in source
    assert connection.ops.adapt_datetimefield_value(None) is None
    assert "._" not in source.replace("self._", "").replace("._meta", "")
    assert "._" not in inspect.getsource(vote_statements) + inspect.getsource(lease_statements)
