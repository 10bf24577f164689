"""Voting against a model of it: random actions in random orders, all invariants checked after each."""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotation.models import Annotator, Assignment, Comparison, ImageReport, Study, Vote
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.amendments import amend
from annotation.voting import slots
from annotation.voting.annotators import free_leases, invite, join
from annotation.voting.assignment import NextKind, expire_leases, next_assignment, release, release_ahead
from annotation.voting.availability import NoRoomLeft
from annotation.voting.casting import Ballot, CastState, undo_vote
from annotation.voting.image_reports import give_out_again, report_image
from annotation.voting.rules import QualityRule, QualityRules, VotingRules
from annotation.voting.stopping import close_all_decided
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from tests.annotation.voting.acknowledged import Acknowledged
from tests.annotation.voting.open_studies import RULES, after, assert_invariants, cast_vote, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
QUOTA = 7
LEASE = RULES.lease_seconds
# Small, so that annotators meet: slug -> comparisons, overlap, and other keys of the study file.
STUDIES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "tight": (6, 1, {}),
    "filling": (4, 2, {"allocation": "nearly_done"}),
    "stopping": (5, 3, {"early_stopping": True}),
    "checked": (5, 2, {"early_stopping": True}),
    "split": (3, 4, {"early_stopping": True, "allocation": "split", "ties": True, "undo_seconds": 0}),
}
# Early and strict checks, so that some annotators fail them.
CHECKS = QualityRules(
    ladder=(0.5, 0.5),
    repeats=1,
    repeat_distance=1,
    first_check_after=1,
    checks_failed=0.05,
    slip=0.04,
    screens_out=(QualityRule.CHECKS_FAILED,),
)
choices = st.sampled_from(["left", "left", "right", "tie"])


class Voting(RuleBasedStateMachine):
    """The voting of a study, as it must look from outside whatever its annotators and its researcher do."""

    annotators = Bundle("annotators")
    assignments = Bundle("assignments")
    ballots = Bundle("ballots")

    def __init__(self) -> None:
        super().__init__()
        # Each example is a transaction of its own, so that it begins with an empty database.
        self.undo_everything = transaction.atomic()
        self.undo_everything.__enter__()
        self.seconds = 0
        self.acknowledged = Acknowledged()
        self.waiting: dict[int, int] = {}  # annotator -> since when nothing was free

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo_everything.__exit__(None, None, None)

    @property
    def now(self) -> datetime:
        return after(seconds=self.seconds)

    @initialize(target=annotators, slug=st.sampled_from(sorted(STUDIES)))
    def choose_a_study(self, slug: str) -> Any:
        self.study = Study.objects.get(slug=slug)
        return multiple(*(self.join() for _ in range(3)))

    @property
    def voting_rules(self) -> VotingRules:
        rules = current_manifest(self.study).voting_rules()
        quality = CHECKS if self.study.slug == "checked" else QualityRules()
        return replace(rules, comparisons_per_annotator=QUOTA, lease_seconds=LEASE, quality=quality)

    @precondition(lambda self: self.study.annotators.count() < 6)
    @rule(target=annotators)
    def somebody_joins(self) -> Annotator:
        return self.join()

    def join(self) -> Annotator:
        """A new annotator, whose seed is the same when the example is run again.

        By a personal link if the open one lets nobody in, which is only so while no comparison is free.
        """
        try:
            annotator = join(study=self.study, rules=self.voting_rules, now=self.now)
        except NoRoomLeft:
            is_open = self.study.comparisons.filter(parked_at=None, decided_at=None)
            assert not is_open.filter(slot_count__lt=F("overlap")).exists()
            annotator = invite(study=self.study, label="")
        annotator.seed = self.study.annotators.count()
        annotator.save(update_fields=["seed"])
        return annotator

    def has_left(self, annotator_id: int) -> bool:
        return Annotator.objects.filter(pk=annotator_id, state__in=["withdrawn", "screened_out"]).exists()

    @rule(seconds=st.sampled_from([1, 59, LEASE]), is_tick_due=st.booleans())
    def time_passes(self, seconds: int, is_tick_due: bool) -> None:
        self.seconds += seconds
        if is_tick_due:
            due = Assignment.objects.filter(state="leased", lease_expires_at__lte=self.now).count()
            assert expire_leases(now=self.now, study=self.study) == due
            close_all_decided(study=self.study, rules=self.voting_rules, now=self.now)

    @rule(target=assignments, annotator=annotators)
    def next(self, annotator: Annotator) -> Any:
        if self.has_left(annotator.pk):
            with pytest.raises(Refused):
                next_assignment(annotator=annotator, rules=self.voting_rules, now=self.now)
            return multiple()
        held = set(annotator.assignments.filter(state="leased").values_list("pk", flat=True))
        answer = next_assignment(annotator=annotator, rules=self.voting_rules, now=self.now)
        if answer.assignment is None:
            assert not held
            self.check_that_nothing_was_free(annotator, answer.kind, answer.wait_seconds)
            return multiple()
        self.waiting.pop(annotator.pk, None)
        assignment = answer.assignment
        assert assignment.annotator_id == annotator.pk
        assert assignment.lease_expires_at == after(seconds=self.seconds + LEASE)
        assert self.acknowledged.standing_on(assignment.pk) is None
        assert not held or assignment.pk in held
        assert not assignment.is_ahead
        assert all(one.is_ahead and self.acknowledged.standing_on(one.pk) is None for one in answer.ahead)
        return assignment

    def check_that_nothing_was_free(self, annotator: Annotator, kind: NextKind, wait_seconds: int) -> None:
        """Done comes only after the quota, when no comparison lacks votes, or after a lease of waiting."""
        answered = annotator.assignments.filter(kind="main", state__in=["voted", "late"])
        reported = annotator.assignments.filter(state="reported")
        unseen = self.study.comparisons.filter(parked_at=None, decided_at=None)
        unseen = unseen.exclude(pk__in=answered.values("comparison")).exclude(pk__in=reported.values("comparison"))
        lacking = [comparison for comparison in unseen if comparison.vote_count < comparison.overlap]
        is_over = answered.count() >= min(QUOTA, self.study.comparisons.count()) or not lacking
        has_waited = self.seconds - self.waiting.get(annotator.pk, self.seconds) >= LEASE
        assert (kind == NextKind.DONE) == (is_over or has_waited)
        assert is_over or all(comparison.slot_count == comparison.overlap for comparison in lacking)
        if kind == NextKind.WAIT:
            since = self.waiting.setdefault(annotator.pk, self.seconds)
            assert 0 < wait_seconds <= since + LEASE - self.seconds

    @rule(assignment=assignments)
    def give_back(self, assignment: Assignment) -> None:
        is_leased = Assignment.objects.filter(pk=assignment.pk, state="leased").exists()
        assert release(assignment=assignment, now=self.now) == is_leased

    @rule(annotator=annotators)
    def the_researcher_frees_what_somebody_holds(self, annotator: Annotator) -> None:
        held = annotator.assignments.filter(state="leased", kind="main").count()
        assert free_leases(annotator=annotator, now=self.now) == held

    @rule(annotator=annotators)
    def leave(self, annotator: Annotator) -> None:
        ahead = annotator.assignments.filter(is_ahead=True).count()
        on_screen = set(annotator.assignments.filter(state="leased", is_ahead=False).values_list("pk"))
        assert release_ahead(annotator=annotator, now=self.now) == ahead
        assert set(annotator.assignments.filter(state="leased").values_list("pk")) == on_screen

    @rule(assignment=assignments)
    def report(self, assignment: Assignment) -> None:
        """An image is reported: the slot is free again, and the third reporter sets the comparison aside."""
        image_id = assignment.left_images[0]
        if self.has_left(assignment.annotator_id):
            with pytest.raises(Refused):
                report_image(assignment=assignment, image_id=image_id, kind="offensive", now=self.now)
            return
        before = Assignment.objects.get(pk=assignment.pk).state
        report_image(assignment=assignment, image_id=image_id, kind="offensive", now=self.now)
        assignment.refresh_from_db()
        assert assignment.state == ("reported" if before == "leased" else before)
        who = set(
            ImageReport.objects.filter(assignment__comparison=assignment.comparison_id, settled_at=None).values_list(
                "assignment__annotator", flat=True
            )
        )
        if len(who) >= 3 and assignment.kind == "main":
            assert Comparison.objects.get(pk=assignment.comparison_id).parked_at is not None

    @rule()
    def the_researcher_gives_out_again(self) -> None:
        for comparison in self.study.comparisons.exclude(parked_at=None):
            give_out_again(comparison=comparison, actor=None, now=self.now)

    @precondition(lambda self: current_manifest(self.study).annotation.overlap == STUDIES[self.study.slug][1])
    @rule()
    def the_researcher_wants_more_votes(self) -> None:
        manifest = current_manifest(self.study)
        plan = manifest.annotation.model_copy(update={"overlap": manifest.annotation.overlap + 1})
        amend(study=self.study, manifest=manifest.model_copy(update={"annotation": plan}), reason="wider intervals")
        self.study.refresh_from_db()

    @rule(target=ballots, assignment=assignments, choice=choices)
    def vote(self, assignment: Assignment, choice: str) -> Any:
        choice = choice if self.voting_rules.are_ties_allowed or choice != "tie" else "right"
        ballot = Ballot(uuid.uuid4(), choice, voted_at=self.now, response_ms=self.seconds)
        if self.has_left(assignment.annotator_id):
            with pytest.raises(Refused):
                cast_vote(ballot=ballot, assignment=assignment, rules=self.voting_rules, now=self.now)
            return multiple()
        current = Assignment.objects.select_related("comparison").get(pk=assignment.pk)
        has_room = (
            current.kind != "main"
            or current.state == "leased"
            or current.comparison.slot_count < current.comparison.overlap
        )
        before = self.acknowledged.standing_on(assignment.pk)
        result = cast_vote(ballot=ballot, assignment=assignment, rules=self.voting_rules, now=self.now)
        if before:
            assert (result.state, result.vote.pk) == (CastState.ALREADY_VOTED, before)
            return multiple()
        assert result.state == (CastState.ACCEPTED if has_room else CastState.LATE)
        self.acknowledged.acknowledge(result.vote, "standing" if has_room else "late")
        return (ballot, assignment)

    @rule(target=ballots, annotator=annotators, choice=choices)
    def look_and_vote(self, annotator: Annotator, choice: str) -> Any:
        assignment = self.next(annotator)
        return self.vote(assignment, choice) if isinstance(assignment, Assignment) else multiple()

    @rule(target=ballots, slow=annotators, quick=annotators, choice=choices)
    def overtake(self, slow: Annotator, quick: Annotator, choice: str) -> Any:
        """An annotator looks until the lease ends, another one takes the slot, and the first one still votes."""
        assignment = self.next(slow)
        self.time_passes(LEASE, is_tick_due=False)
        sent = [self.look_and_vote(quick, choice)]
        if isinstance(assignment, Assignment):
            sent.append(self.vote(assignment, choice))
        return multiple(*(one for one in sent if isinstance(one, tuple)))

    @rule(annotators_=st.lists(annotators, min_size=2, max_size=4), choice=choices)
    def several_are_of_one_mind(self, annotators_: list[Annotator], choice: str) -> None:
        """Vote for one model, so that comparisons are decided."""
        for annotator in annotators_:
            assignment = self.next(annotator)
            if isinstance(assignment, Assignment):
                self.vote(
                    assignment, "left" if assignment.left_model == ("a" if choice == "left" else "b") else "right"
                )

    @rule(sent=ballots, choice=st.sampled_from(["left", "right"]))
    def send_again(self, sent: tuple[Ballot, Assignment], choice: str) -> None:
        ballot, assignment = sent
        again = replace(ballot, choice=choice)
        if (
            assignment.annotator_id in self.acknowledged.withdrawn
        ):  # who was screened out still gets the answer of before
            with pytest.raises(Refused):
                cast_vote(ballot=again, assignment=assignment, rules=self.voting_rules, now=self.now)
            return
        result = cast_vote(ballot=again, assignment=assignment, rules=self.voting_rules, now=self.now)
        assert (result.state, result.vote.choice) == (CastState.DUPLICATE, ballot.choice)

    @rule(sent=ballots)
    def undo(self, sent: tuple[Ballot, Assignment]) -> None:
        if (vote := Vote.objects.filter(pk=sent[0].vote_id).first()) is None:
            return  # withdrawn
        is_in_time = (self.now - vote.received_at).total_seconds() <= self.voting_rules.undo_seconds
        if self.has_left(sent[1].annotator_id):
            is_in_time = False
        if is_in_time and vote.state == "standing":
            undo_vote(vote=vote, rules=self.voting_rules, now=self.now)
            self.acknowledged.states[vote.pk] = "superseded"
            self.acknowledged.excluded.discard(vote.pk)
            return
        with pytest.raises(Refused):
            undo_vote(vote=vote, rules=self.voting_rules, now=self.now)

    @precondition(lambda self: self.study.slug != "checked")  # there the rules exclude
    @rule(sent=ballots, is_excluded=st.booleans())
    def exclude(self, sent: tuple[Ballot, Assignment], is_excluded: bool) -> None:
        """Exclude a vote, or take its exclusion back; its slot stays as it was."""
        vote = Vote.objects.filter(pk=sent[0].vote_id, state="standing")
        if not vote.update(excluded_at=self.now if is_excluded else None, exclusion_reason="why" * is_excluded):
            return
        slots.recount([sent[1].comparison_id])
        (self.acknowledged.excluded.add if is_excluded else self.acknowledged.excluded.discard)(sent[0].vote_id)
        assert Comparison.objects.get(pk=sent[1].comparison_id).decided_at is None

    @rule(annotator=annotators)
    def withdraw(self, annotator: Annotator) -> None:
        if annotator.pk not in self.acknowledged.withdrawn:
            self.acknowledged.withdraw(annotator)
        withdraw(annotator=annotator, until=None, now=self.now)

    @invariant()
    def nothing_breaks(self) -> None:
        if hasattr(self, "study"):
            assert_invariants(self.study)
            self.acknowledged.assert_kept(self.study)


def drive(*, examples: int, steps: int) -> None:
    for slug, (comparisons, overlap, options) in STUDIES.items():
        plan = {"undo_seconds": RULES.undo_seconds, **options}
        make_study(slug=slug, comparisons=comparisons, overlap=overlap, images=2, **plan)
    run_state_machine_as_test(
        Voting,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_whatever_annotators_do_every_invariant_holds() -> None:
    drive(examples=15, steps=40)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whatever_annotators_do_for_long_every_invariant_holds() -> None:
    drive(examples=200, steps=60)
