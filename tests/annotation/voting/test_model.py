"""Voting against a model of it: random deeds in random orders, every invariant checked after each."""

import uuid
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
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
from annotation.voting.annotators import join
from annotation.voting.assignment import NextKind, expire_leases, next_assignment, release, release_ahead
from annotation.voting.casting import Ballot, CastState, cast_vote, undo_vote
from annotation.voting.image_reports import give_out_again, report_image
from generation.refusals import Refused
from tests.annotation.voting.studies import RULES, after, assert_invariants, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
QUOTA = 7
# Small, so that annotators get in each other's way: slug -> comparisons, overlap.
STUDIES = {"tight": (6, 1), "even": (4, 2), "wide": (8, 3)}
VOTING_RULES = replace(RULES, comparisons_per_annotator=QUOTA, prefetch=1)


class Voting(RuleBasedStateMachine):
    """What a study's voting must look like from outside, whatever its annotators do."""

    annotators = Bundle("annotators")
    assignments = Bundle("assignments")
    ballots = Bundle("ballots")

    def __init__(self) -> None:
        super().__init__()
        # Each example in a transaction of its own, so that it begins with an empty database.
        self.undo_everything = transaction.atomic()
        self.undo_everything.__enter__()
        self.seconds = 0
        self.counted: dict[int, uuid.UUID] = {}  # assignment -> its standing vote
        self.late: set[int] = set()
        self.shown: dict[int, tuple[Any, ...]] = {}

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

    @precondition(lambda self: self.study.annotators.count() < 6)
    @rule(target=annotators)
    def somebody_joins(self) -> Annotator:
        return self.join()

    def join(self) -> Annotator:
        """A new annotator, with a seed that is the same whenever the example is run again."""
        annotator = join(study=self.study, rules=VOTING_RULES, now=self.now)
        annotator.seed = self.study.annotators.count()
        annotator.save(update_fields=["seed"])
        return annotator

    @rule(seconds=st.sampled_from([1, 59, RULES.lease_seconds]), is_tick_due=st.booleans())
    def time_passes(self, seconds: int, is_tick_due: bool) -> None:
        self.seconds += seconds
        if is_tick_due:
            self.leases_end()

    def leases_end(self) -> None:
        due = Assignment.objects.filter(state="leased", lease_expires_at__lte=self.now).count()
        assert expire_leases(now=self.now, study=self.study) == due

    @rule(target=assignments, annotator=annotators)
    def next(self, annotator: Annotator) -> Any:
        held = set(annotator.assignments.filter(state="leased").values_list("pk", flat=True))
        answer = next_assignment(annotator=annotator, rules=VOTING_RULES, now=self.now)
        if answer.assignment is None:
            assert not held
            self.check_that_nothing_was_free(annotator, answer.kind, answer.wait_seconds)
            return multiple()
        assignment = answer.assignment
        assert assignment.annotator_id == annotator.pk
        assert assignment.lease_expires_at == after(seconds=self.seconds + RULES.lease_seconds)
        assert assignment.pk not in self.counted
        assert assignment.pk not in self.late
        assert not held or assignment.pk in held
        assert not assignment.is_ahead
        assert all(one.pk not in self.counted and one.is_ahead for one in answer.ahead)
        sides = (assignment.left_model, assignment.left_images, assignment.right_images)
        assert self.shown.setdefault(assignment.pk, sides) == sides
        return assignment

    def check_that_nothing_was_free(self, annotator: Annotator, kind: NextKind, wait_seconds: int) -> None:
        answered = annotator.assignments.filter(state__in=["voted", "late"])
        reported = annotator.assignments.filter(state="reported")
        unseen = self.study.comparisons.filter(parked_at=None).exclude(pk__in=answered.values("comparison"))
        unseen = unseen.exclude(pk__in=reported.values("comparison"))
        lacking = [comparison for comparison in unseen if comparison.vote_count < comparison.overlap]
        is_quota_reached = answered.count() >= min(QUOTA, self.study.comparisons.count())
        assert (kind == NextKind.DONE) == (is_quota_reached or not lacking)
        if kind == NextKind.WAIT:
            assert 0 < wait_seconds <= RULES.lease_seconds
            assert all(comparison.slot_count == comparison.overlap for comparison in lacking)

    @rule(assignment=assignments)
    def give_back(self, assignment: Assignment) -> None:
        state = Assignment.objects.get(pk=assignment.pk).state
        assert release(assignment=assignment, now=self.now) == (state == "leased")

    @rule(annotator=annotators)
    def leave(self, annotator: Annotator) -> None:
        ahead = annotator.assignments.filter(is_ahead=True).count()
        on_screen = set(annotator.assignments.filter(state="leased", is_ahead=False).values_list("pk"))
        assert release_ahead(annotator=annotator, now=self.now) == ahead
        assert set(annotator.assignments.filter(state="leased").values_list("pk")) == on_screen

    @rule(assignment=assignments)
    def report(self, assignment: Assignment) -> None:
        """An image offends: the slot is back, and the comparison is set aside by the third who says so."""
        before = Assignment.objects.get(pk=assignment.pk).state
        image_id = assignment.left_images[0]
        report_image(assignment=assignment, image_id=image_id, kind="offensive", now=self.now)
        assignment.refresh_from_db()
        assert assignment.state == ("reported" if before == "leased" else before)
        who = {
            report.assignment.annotator_id
            for report in ImageReport.objects.filter(
                assignment__comparison=assignment.comparison_id, settled_at=None
            ).select_related("assignment")
        }
        assert (Comparison.objects.get(pk=assignment.comparison_id).parked_at is not None) == (len(who) >= 3)

    @rule(annotator=annotators)
    def the_researcher_gives_out_again(self, annotator: Annotator) -> None:
        for comparison in annotator.study.comparisons.exclude(parked_at=None):
            give_out_again(comparison=comparison, actor=None, now=self.now)

    @rule(target=ballots, assignment=assignments, choice=st.sampled_from(["left", "right"]))
    def vote(self, assignment: Assignment, choice: str) -> Any:
        current = Assignment.objects.select_related("comparison").get(pk=assignment.pk)
        comparison = current.comparison
        has_room = current.state == "leased" or comparison.slot_count < comparison.overlap
        ballot = Ballot(uuid.uuid4(), choice)
        result = cast_vote(ballot=ballot, assignment=assignment, rules=VOTING_RULES, now=self.now)
        if assignment.pk in self.counted or assignment.pk in self.late:
            assert result.state == CastState.ALREADY_VOTED
            return multiple()
        assert result.state == (CastState.ACCEPTED if has_room else CastState.LATE)
        if has_room:
            self.counted[assignment.pk] = ballot.vote_id
        else:
            self.late.add(assignment.pk)
        return (ballot, assignment)

    @rule(target=ballots, annotator=annotators, choice=st.sampled_from(["left", "right"]))
    def look_and_vote(self, annotator: Annotator, choice: str) -> Any:
        assignment = self.next(annotator)
        return self.vote(assignment, choice) if isinstance(assignment, Assignment) else multiple()

    @rule(target=ballots, slow=annotators, quick=annotators, choice=st.sampled_from(["left", "right"]))
    def overtake(self, slow: Annotator, quick: Annotator, choice: str) -> Any:
        """One looks until the lease ends, another takes what is free then, and the first votes after all."""
        assignment = self.next(slow)
        self.time_passes(RULES.lease_seconds, is_tick_due=False)
        sent = [self.look_and_vote(quick, choice)]
        if isinstance(assignment, Assignment):
            sent.append(self.vote(assignment, choice))
        return multiple(*(one for one in sent if isinstance(one, tuple)))

    @rule(sent=ballots, choice=st.sampled_from(["left", "right"]))
    def send_again(self, sent: tuple[Ballot, Assignment], choice: str) -> None:
        ballot, assignment = sent
        again = replace(ballot, choice=choice)
        result = cast_vote(ballot=again, assignment=assignment, rules=VOTING_RULES, now=self.now)
        assert (result.state, result.vote.choice) == (CastState.DUPLICATE, ballot.choice)

    @rule(sent=ballots)
    def undo(self, sent: tuple[Ballot, Assignment]) -> None:
        ballot, assignment = sent
        vote = Vote.objects.get(pk=ballot.vote_id)
        is_in_time = (self.now - vote.received_at).total_seconds() <= RULES.undo_seconds
        if is_in_time and vote.state == "standing":
            undo_vote(vote=vote, rules=VOTING_RULES, now=self.now)
            del self.counted[assignment.pk]
            return
        with pytest.raises(Refused):
            undo_vote(vote=vote, rules=VOTING_RULES, now=self.now)

    @invariant()
    def nothing_breaks(self) -> None:
        if not hasattr(self, "study"):
            return
        assert_invariants(self.study)
        standing = dict(Vote.objects.filter(state="standing").values_list("assignment", "pk"))
        assert standing == self.counted
        assert set(Vote.objects.filter(state="late").values_list("assignment", flat=True)) == self.late
        lefts: dict[int, dict[int, str]] = defaultdict(dict)
        for assignment in Assignment.objects.all():
            assert assignment.comparison_id not in lefts[assignment.annotator_id]
            lefts[assignment.annotator_id][assignment.comparison_id] = assignment.left_model
        for sides in lefts.values():
            assert abs(Counter(sides.values())["a"] - Counter(sides.values())["b"]) <= 1


def test_whatever_annotators_do_every_invariant_holds() -> None:
    for slug, (comparisons, overlap) in STUDIES.items():
        make_study(slug=slug, comparisons=comparisons, overlap=overlap, images=2)
    run_state_machine_as_test(
        Voting,
        settings=settings(
            max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
