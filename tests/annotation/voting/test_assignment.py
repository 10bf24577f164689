import re
from dataclasses import replace

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.voting import assignment
from annotation.voting.assignment import Next, NextKind, expire_leases, next_assignment, release
from annotation.voting.rules import VotingRules
from annotation.voting.storage.vote_statements import Counts, counts_of
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import (
    NOON,
    RULES,
    after,
    assert_invariants,
    choose,
    lease,
    make_annotators,
    make_study,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def answer_all(annotator: Annotator, *, rules: VotingRules = RULES, seconds: float = 0) -> Next:
    """Vote until no comparison comes; return the answer that came instead."""
    while True:
        following = next_assignment(annotator=annotator, rules=rules, now=after(seconds=seconds))
        if following.assignment is None:
            return following
        choose(following.assignment, seconds=seconds, rules=rules)


def test_a_reload_shows_the_same_and_renews_the_lease() -> None:
    study = make_study(comparisons=5, overlap=3, images=4)
    (annotator,) = make_annotators(study, 1)
    first = lease(annotator)
    again = lease(annotator, seconds=300)
    assert again == first
    assert (again.left_model, again.left_images, again.right_images) == (
        first.left_model,
        first.left_images,
        first.right_images,
    )
    assert again.lease_expires_at == after(seconds=900)
    assert Assignment.objects.count() == 1
    assert_invariants(study)


def test_every_image_of_a_set_is_on_its_side_once() -> None:
    study = make_study(comparisons=1, overlap=1, images=20)
    (annotator,) = make_annotators(study, 1)
    assignment = lease(annotator)
    comparison = assignment.comparison
    left, right = comparison.image_set_a, comparison.image_set_b
    if assignment.left_model == "b":
        left, right = right, left
    assert sorted(assignment.left_images) == sorted(left.images.values_list("pk", flat=True))
    assert sorted(assignment.right_images) == sorted(right.images.values_list("pk", flat=True))
    assert assignment.left_images != sorted(assignment.left_images)


def test_the_least_filled_comparisons_come_first() -> None:
    study = make_study(comparisons=6, overlap=3)
    for annotator in make_annotators(study, 9):
        for _ in range(2):
            choose(lease(annotator))
            counts = list(study.comparisons.values_list("slot_count", flat=True))
            assert max(counts) - min(counts) <= 1
    assert_invariants(study)


def test_where_the_search_begins_differs_between_annotators() -> None:
    study = make_study(comparisons=30, overlap=20)
    positions = {lease(annotator).comparison.position for annotator in make_annotators(study, 10)}
    assert len(positions) > 5


def test_sides_are_balanced_for_each_annotator_at_every_moment() -> None:
    study = make_study(comparisons=9, overlap=3)
    for annotator in make_annotators(study, 3):
        lefts = []
        for _ in range(9):
            assignment = lease(annotator)
            choose(assignment)
            lefts.append(assignment.left_model)
            assert abs(lefts.count("a") - lefts.count("b")) <= 1


def test_a_comparison_that_was_set_aside_is_not_given_out() -> None:
    study = make_study(comparisons=2, overlap=1)
    parked = study.comparisons.get(position=0)
    Comparison.objects.filter(pk=parked.pk).update(parked_at=NOON)
    (annotator,) = make_annotators(study, 1)
    assert lease(annotator).comparison.position == 1
    assert answer_all(annotator).kind == NextKind.DONE


def test_done_when_the_quota_is_reached() -> None:
    study = make_study(comparisons=5, overlap=3)
    (annotator,) = make_annotators(study, 1)
    end = answer_all(annotator, rules=replace(RULES, comparisons_per_annotator=2))
    assert (end.kind, end.done_count, end.total) == (NextKind.DONE, 2, 2)
    annotator.refresh_from_db()
    assert (annotator.state, annotator.finished_at) == ("finished", NOON)


def test_the_quota_is_never_above_the_size_of_the_study() -> None:
    study = make_study(comparisons=3, overlap=3)
    (annotator,) = make_annotators(study, 1)
    assert next_assignment(annotator=annotator, rules=RULES, now=NOON).total == 3


def test_wait_while_a_lease_may_come_back_and_done_when_every_vote_stands() -> None:
    study = make_study(comparisons=1, overlap=1)
    first, second = make_annotators(study, 2)
    held = lease(first)
    waiting = next_assignment(annotator=second, rules=RULES, now=after(seconds=100))
    assert (waiting.kind, waiting.wait_seconds) == (NextKind.WAIT, 500)
    choose(held, seconds=200)
    assert next_assignment(annotator=second, rules=RULES, now=after(seconds=200)).kind == NextKind.DONE
    assert_invariants(study)


def test_a_lease_that_ended_goes_to_the_next_annotator_who_asks_without_any_tick() -> None:
    study = make_study(comparisons=1, overlap=1)
    first, second = make_annotators(study, 2)
    lost = lease(first)
    found = lease(second, seconds=600)
    assert found.comparison == lost.comparison
    lost.refresh_from_db()
    assert (lost.state, lost.lease_expires_at) == ("released", None)
    assert_invariants(study)


def test_leasing_again_reopens_the_row_as_it_was_shown() -> None:
    study = make_study(comparisons=1, overlap=1, images=6)
    (annotator,) = make_annotators(study, 1)
    first = lease(annotator)
    assert expire_leases(now=after(seconds=600)) == 1
    again = lease(annotator, seconds=700)
    assert (again.pk, again.left_model, again.left_images) == (first.pk, first.left_model, first.left_images)
    assert (again.leased_at, again.released_at) == (after(seconds=700), None)
    assert_invariants(study)


def test_a_lease_that_another_process_ends_between_two_statements_is_reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(comparisons=2, overlap=1, images=6)
    annotator, other = make_annotators(study, 2)
    first = lease(annotator)
    choose(lease(other))

    def leases_before_one_ends(annotator: Annotator, **_how: object) -> tuple[list[Assignment], Counts]:
        counts = counts_of(annotator)
        expire_leases(now=after(seconds=600))
        return [], counts  # the other process has locked the lease, so it is skipped

    monkeypatch.setattr(assignment, "renewed_leases", leases_before_one_ends)
    assert lease(annotator, seconds=600).pk == first.pk
    assert_invariants(study)


def test_a_slot_is_given_back_exactly_once() -> None:
    study = make_study(comparisons=1, overlap=2)
    annotators = make_annotators(study, 2)
    for annotator in annotators:
        lease(annotator)
    assignment = Assignment.objects.earliest("pk")
    assert release(assignment=assignment, now=NOON)
    assert not release(assignment=assignment, now=NOON)
    assert expire_leases(now=after(seconds=600)) == 1
    assert expire_leases(now=after(seconds=600)) == 0
    assert study.comparisons.get().slot_count == 0


def test_leases_of_other_studies_are_left_to_them() -> None:
    studies = [make_study(comparisons=1, overlap=1, slug=slug) for slug in ("weather", "sea")]
    for study in studies:
        lease(make_annotators(study, 1)[0])
    assert expire_leases(now=after(seconds=600), study=studies[0]) == 1
    assert [study.comparisons.get().slot_count for study in studies] == [0, 1]


def test_one_comparison_that_frees_many_slots_at_once() -> None:
    study = make_study(comparisons=2, overlap=5)
    for annotator in make_annotators(study, 5):
        choose(lease(annotator))
        lease(annotator)
    assert expire_leases(now=after(seconds=600)) == 5
    assert_invariants(study)


def test_a_finished_annotator_who_finds_a_freed_comparison_goes_on() -> None:
    study = make_study(comparisons=1, overlap=1)
    first, second = make_annotators(study, 2)
    choose(lease(first))
    assert answer_all(second).kind == NextKind.DONE
    Comparison.objects.update(overlap=2)
    lease(second)
    second.refresh_from_db()
    assert (second.state, second.finished_at) == ("active", None)


@pytest.mark.parametrize(
    ("state", "part"),
    [("paused", "paused"), ("ready", "not opened yet"), ("generating", "not opened yet"), ("closed", "closed")],
)
def test_a_study_that_is_not_open_gives_out_nothing_and_says_so(state: str, part: str) -> None:
    study = make_study(comparisons=1, overlap=1)
    (annotator,) = make_annotators(study, 1)
    Study.objects.update(state=state, closed_at=NOON if state == "closed" else None)
    with pytest.raises(Refused, match=part):
        next_assignment(annotator=annotator, rules=RULES, now=NOON)


def test_opening_and_closing_times_are_kept() -> None:
    study = make_study(comparisons=1, overlap=1)
    (annotator,) = make_annotators(study, 1)
    rules = replace(RULES, opens_at=after(seconds=10), closes_at=after(seconds=20))
    with pytest.raises(Refused, match="not opened yet"):
        next_assignment(annotator=annotator, rules=rules, now=after(seconds=9))
    lease(annotator, seconds=10, rules=rules)
    with pytest.raises(Refused, match="closed"):
        next_assignment(annotator=annotator, rules=rules, now=after(seconds=20))


@pytest.mark.parametrize("state", ["screened_out", "withdrawn"])
def test_an_annotator_who_left_gets_nothing(state: str) -> None:
    study = make_study(comparisons=1, overlap=1)
    (annotator,) = make_annotators(study, 1)
    Annotator.objects.update(state=state)
    with pytest.raises(Refused, match="has left the study"):
        next_assignment(annotator=annotator, rules=RULES, now=NOON)


def test_the_database_itself_holds_the_overlap() -> None:
    study = make_study(comparisons=1, overlap=2)
    with pytest.raises(IntegrityError, match="comparison_slots_within_overlap"), transaction.atomic():
        study.comparisons.update(slot_count=3)
    with pytest.raises(IntegrityError, match="comparison_votes_within_slots"), transaction.atomic():
        study.comparisons.update(slot_count=1, vote_count=2)


def test_the_database_itself_holds_one_assignment_for_an_occurrence() -> None:
    study = make_study(comparisons=1, overlap=2)
    (annotator,) = make_annotators(study, 1)
    assignment = lease(annotator)
    assignment.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        assignment.save()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the plan of PostgreSQL depends on the size of its tables")
def test_the_search_reads_the_index_of_what_is_free() -> None:
    study = make_study(comparisons=3, overlap=1)
    (annotator,) = make_annotators(study, 1)
    with CaptureQueriesContext(connection) as queries:
        lease(annotator)
    searches = [query["sql"] for query in queries if "ORDER BY" in query["sql"] and ") IS NOT TRUE" in query["sql"]]
    (search,) = searches
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {search}")
        plan = "\n".join(row[3] for row in cursor.fetchall())
    assert len(re.findall("USING (COVERING )?INDEX comparison_free", plan)) == 2
    assert "TEMP B-TREE" not in plan
