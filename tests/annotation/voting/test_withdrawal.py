"""Withdrawal deletes votes and answers and keeps the counters right, also under concurrency."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, Answer, Assignment, Study, Vote
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.voting import onboarding, withdrawal
from annotation.voting.annotators import Arrival, by_external_id, free_leases, join
from annotation.voting.assignment import expire_leases, next_assignment
from annotation.voting.casting import Ballot
from annotation.voting.practice import answer_practice, practice
from annotation.voting.quality.screening_out import screen_out
from annotation.voting.rules import QualityRule, QualityRules
from annotation.voting.slots import counted_votes
from annotation.voting.withdrawal import finish_withdrawals, withdraw
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import (
    NOON,
    RULES,
    after,
    assert_invariants,
    cast_vote,
    choose,
    lease,
    make_annotators,
    make_study,
)
from tests.annotation.voting.test_concurrency import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def given(study: Study) -> Annotator:
    """An annotator with all that can be stored: votes, a lease, practice, answers, consent."""
    annotator = join(study=study, rules=RULES, now=NOON, arrival=Arrival("p1", {"SESSION_ID": "s1"}))
    onboarding.welcome(annotator=annotator, consent_sha256="c" * 64, now=NOON)
    onboarding.answer(annotator=annotator, page=Answer.Page.QUESTIONS, values={"age": "34"}, now=NOON)
    answer_practice(assignment=practice(annotator=annotator, number=0, now=NOON), choice="left", now=NOON)
    choose(lease(annotator))
    choose(lease(annotator))
    next_assignment(annotator=annotator, rules=RULES, now=NOON)
    return annotator


def test_everything_goes_and_the_tombstone_stays() -> None:
    study = make_study(comparisons=4, overlap=2, images=4)
    annotator = given(study)
    assert sum(study.comparisons.values_list("slot_count", flat=True)) >= 3
    tombstone = withdraw(annotator=annotator, until=None, now=after(seconds=60))
    assert not Vote.objects.exists()
    assert not Assignment.objects.exists()
    assert not Answer.objects.exists()
    assert_invariants(study)
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}
    tombstone.refresh_from_db()
    assert (tombstone.withdrawn_vote_count, tombstone.withdrawn_at) == (2, after(seconds=60))
    kept = {tombstone.label, tombstone.consent_sha256, tombstone.resume_code, tombstone.seed, tombstone.welcomed_at}
    assert kept.isdisjoint({"p1", "c" * 64, annotator.resume_code, annotator.seed})
    assert "p1" not in tombstone.external_id
    assert tombstone.platform_parameters == {}
    assert tombstone.created_at == after(seconds=60)


def test_the_log_of_the_admin_forgets_the_label(admin_client: Client) -> None:
    study = make_study(comparisons=4, overlap=2)
    page = reverse("admin:annotation_annotator_add")
    for label in ("Ada Lovelace", "Grace Hopper"):
        admin_client.post(page, {"study": study.pk, "label": label})
    withdraw(annotator=Annotator.objects.get(label="Ada Lovelace"), until=None, now=NOON)
    assert str(Annotator.objects.get(label="")) == "P001", "as in the report"
    assert set(LogEntry.objects.values_list("object_repr", flat=True)) == {"P001", "Grace Hopper"}


def test_the_same_person_does_not_come_back_as_another() -> None:
    study = make_study(comparisons=4, overlap=2, images=4)
    tombstone = withdraw(annotator=given(study), until=None, now=NOON)
    assert by_external_id(study=study, external_id="p1") == tombstone
    assert join(study=study, rules=RULES, now=NOON, arrival=Arrival("p1")) == tombstone
    assert by_external_id(study=study, external_id=tombstone.external_id + "x") is None
    with pytest.raises(Refused, match="has left the study"):
        next_assignment(annotator=tombstone, rules=RULES, now=NOON)


def interrupted(annotator: Annotator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Withdraw in a process that dies before the second slice."""
    with monkeypatch.context() as patched:
        patched.setattr(withdrawal, "AT_ONCE", 2)
        patched.setattr(withdrawal, "_delete_rest", lambda _tombstone: None)
        withdraw(annotator=annotator, until=None, now=NOON)


@pytest.mark.parametrize("is_screened_out", [False, True])
def test_a_withdrawal_that_is_interrupted_is_completed_by_the_tick(
    is_screened_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(comparisons=5, overlap=2)
    leaving, staying = make_annotators(study, 2)
    for _ in range(5):
        choose(lease(leaving))
        choose(lease(staying))
    if is_screened_out:
        Annotator.objects.filter(pk=leaving.pk).update(broken_rules="checks_failed", state="active")
        rules = replace(RULES, quality=QualityRules(checks_failed=0.01, screens_out=(QualityRule.CHECKS_FAILED,)))
        assert screen_out(annotator=leaving, rules=rules, now=NOON)
    interrupted(leaving, monkeypatch)
    stone = Annotator.objects.get(pk=leaving.pk)
    assert (stone.state, stone.withdrawn_vote_count, stone.assignments.count()) == ("withdrawn", 5, 3)
    assert set(counted_votes().values_list("assignment__annotator", flat=True)) == {staying.pk}
    with pytest.raises(Refused, match="Votes of an annotator who has withdrawn from Weather are being deleted"):
        request_report(study)
    for _ in range(2):
        finish_withdrawals()
    stone.refresh_from_db()
    assert (stone.assignments.count(), stone.screened_out_for) == (0, "")
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(1, 1)}
    assert_invariants(study)
    request_report(study)


def test_thousands_of_votes_are_deleted_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawal, "AT_ONCE", 2)
    monkeypatch.setattr(withdrawal, "SMALL_ROWS", 1)
    monkeypatch.setattr(withdrawal, "MOST_AT_ONCE", 2)
    study = make_study(comparisons=7, overlap=2)
    (annotator,) = make_annotators(study, 1)
    for _ in range(7):
        choose(lease(annotator))
    sizes, delete = [], withdrawal._delete

    def counted(tombstone: Annotator, assignment_ids: Sequence[int]) -> None:
        sizes.append(len(assignment_ids))
        delete(tombstone, assignment_ids)

    monkeypatch.setattr(withdrawal, "_delete", counted)
    withdraw(annotator=annotator, until=None, now=NOON)
    assert sizes[0] == 2, "with the tombstone"
    assert (sum(sizes), max(sizes)) == (7, 2)
    assert not Vote.objects.exists()
    assert_invariants(study)


def test_withdrawing_twice_changes_nothing() -> None:
    study = make_study(comparisons=4, overlap=2, images=4)
    annotator = given(study)
    withdraw(annotator=annotator, until=None, now=NOON)
    again = withdraw(annotator=annotator, until=None, now=after(seconds=60))
    assert (again.withdrawn_vote_count, again.withdrawn_at) == (2, NOON)


def test_after_the_stated_date_nothing_is_deleted() -> None:
    study = make_study(comparisons=4, overlap=2, images=4)
    annotator = given(study)
    with pytest.raises(Refused, match="time in which your votes could be deleted is over"):
        withdraw(annotator=annotator, until=NOON, now=after(seconds=1))
    assert Vote.objects.count() == 3
    withdraw(annotator=annotator, until=NOON, now=NOON)
    assert not Vote.objects.exists()


def test_votes_of_others_stay_and_the_freed_slot_is_given_out_again() -> None:
    study = make_study(comparisons=1, overlap=2)
    leaving, staying, coming = make_annotators(study, 3)
    choose(lease(leaving))
    choose(lease(staying))
    withdraw(annotator=leaving, until=None, now=NOON)
    assert study.comparisons.get().vote_count == 1
    choose(lease(coming))
    assert study.comparisons.get().vote_count == 2
    assert_invariants(study)


def vote_on(annotator: Annotator) -> None:
    try:
        for _ in range(6):
            assignment = next_assignment(annotator=annotator, rules=RULES, now=timezone.now()).assignment
            if assignment is None:
                return
            ballot = Ballot(uuid.uuid4(), "right")
            cast_vote(ballot=ballot, assignment=assignment, rules=RULES, now=timezone.now())
    except Refused:
        return  # withdrawn meanwhile


def test_withdrawals_in_the_middle_of_voting_and_expiry_leave_the_counters_right() -> None:
    study = make_study(comparisons=6, overlap=4)
    annotators = make_annotators(study, 6)
    for annotator in annotators:
        choose(lease(annotator))
    later = timezone.now() + timedelta(days=1)
    deeds: list[Callable[[], object]] = [
        *(partial(vote_on, annotator) for annotator in annotators),
        *(partial(withdraw, annotator=annotator, until=None, now=NOON) for annotator in annotators[:3]),
        *(partial(expire_leases, now=later, study=study) for _ in range(2)),
    ]
    at_once(deeds)
    assert_invariants(study)
    assert Annotator.objects.filter(state="withdrawn").count() == 3
    assert not Vote.objects.filter(assignment__annotator__state="withdrawn").exists()


def test_a_researcher_frees_what_somebody_holds() -> None:
    study = make_study(comparisons=2, overlap=1)
    gone, here = make_annotators(study, 2)
    next_assignment(annotator=gone, rules=RULES, now=NOON)
    assert free_leases(annotator=gone, now=NOON) == Assignment.objects.filter(annotator=gone).count()
    assert free_leases(annotator=gone, now=NOON) == 0
    assert_invariants(study)
    choose(lease(here))
    choose(lease(here))
    assert_invariants(study)
