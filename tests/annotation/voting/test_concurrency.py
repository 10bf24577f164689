"""Concurrent votes: threads with their own connections, on SQLite in a file and on PostgreSQL."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import TypeVar

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.voting.annotators import join
from annotation.voting.assignment import Next, NextKind, expire_leases, next_assignment, release
from annotation.voting.availability import Closure
from annotation.voting.casting import Ballot, CastState, vote_and_next
from annotation.voting.rules import Allocation, VotingRules
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import RULES, assert_invariants, cast_vote, make_annotators, make_study

Result = TypeVar("Result")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def at_once(actions: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the actions in threads that start together."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Result]) -> Result:
        barrier.wait()
        try:
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def ballot(choice: str = "left") -> Ballot:
    return Ballot(vote_id=uuid.uuid4(), choice=choice)


def is_false_end(annotator: Annotator) -> bool:
    """Whether a comparison that the annotator has not answered still lacks votes. Votes only grow here."""
    answered = Assignment.objects.filter(annotator=annotator, state__in=["voted", "late"]).values("comparison")
    wanting = annotator.study.comparisons.filter(vote_count__lt=F("overlap"), decided_at=None)
    return wanting.exclude(pk__in=answered).exists()


def vote_to_the_end(annotator: Annotator, rules: VotingRules = RULES) -> bool:
    """Ask for the next and vote until done; return whether that end was false. All prefer one model."""
    following: Next | Closure = next_assignment(annotator=annotator, rules=rules, now=timezone.now())
    while isinstance(following, Next) and following.kind != NextKind.DONE:
        if following.assignment:
            choice = "left" if following.assignment.left_model == "a" else "right"
            _result, following = vote_and_next(
                ballot=ballot(choice), assignment=following.assignment, rules=rules, now=timezone.now()
            )
        else:
            time.sleep(0.01)
            following = next_assignment(annotator=annotator, rules=rules, now=timezone.now())
    return is_false_end(annotator)


def test_twelve_annotators_exhaust_four_comparisons_exactly() -> None:
    study = make_study(comparisons=4, overlap=3)
    annotators = make_annotators(study, 12)
    ends = at_once([partial(vote_to_the_end, annotator) for annotator in annotators])
    assert not any(ends)
    assert list(study.comparisons.values_list("slot_count", "vote_count")) == [(3, 3)] * 4
    assert Vote.objects.count() == 12
    assert_invariants(study)


@pytest.mark.parametrize("allocation", ["even", "nearly_done", "split"])
def test_many_at_once_stop_early_with_no_false_end(allocation: Allocation) -> None:
    study = make_study(comparisons=4, overlap=5, early_stopping=True, allocation=allocation)
    rules = replace(RULES, undo_seconds=0, stops_early=True, allocation=allocation)
    annotators = make_annotators(study, 8)
    assert not any(at_once([partial(vote_to_the_end, annotator, rules) for annotator in annotators]))
    votes = list(study.comparisons.values_list("vote_count", flat=True))
    assert min(votes) >= 3
    assert max(votes) <= 5
    assert_invariants(study)


def walk_away_now_and_then(study: Study, annotator: Annotator, clock: Callable[[], datetime]) -> bool:
    """Like `vote_to_the_end`, but leases are released or forgotten, and votes are sent twice or too late."""
    chance = Random(annotator.seed)
    while True:
        following = next_assignment(annotator=annotator, rules=RULES, now=clock())
        if following.kind == NextKind.DONE:
            return is_false_end(annotator)
        if following.assignment is None:
            continue
        deed = chance.random()
        if deed < 0.2:
            release(assignment=following.assignment, now=clock())
        elif deed < 0.4:
            expire_leases(now=clock() + timedelta(seconds=RULES.lease_seconds), study=study)
        this = ballot(chance.choice(["left", "right"]))
        for _ in range(chance.choice([1, 2])):
            vote_and_next(ballot=this, assignment=following.assignment, rules=RULES, now=clock())


def test_leases_that_end_in_the_middle_of_it_lose_nothing() -> None:
    study = make_study(comparisons=5, overlap=3)
    annotators = make_annotators(study, 8)
    ticks, start = count(), timezone.now()

    def clock() -> datetime:
        return start + timedelta(seconds=next(ticks))

    walks = [partial(walk_away_now_and_then, study, annotator, clock) for annotator in annotators]
    assert not any(at_once(walks))
    for comparison in study.comparisons.all():
        answered = comparison.assignments.filter(state__in=["voted", "late"]).count()
        assert comparison.slot_count == comparison.vote_count
        assert comparison.vote_count == 3 or answered == len(annotators)  # then nobody is left to ask
    assert_invariants(study)


def test_one_annotator_who_asks_from_many_tabs_gets_one_comparison() -> None:
    study = make_study(comparisons=10, overlap=3)
    (annotator,) = make_annotators(study, 1)
    found = at_once([lambda: next_assignment(annotator=annotator, rules=RULES, now=timezone.now())] * 8)
    assert {following.assignment for following in found} == {Assignment.objects.get()}
    assert_invariants(study)


@pytest.mark.parametrize("is_same_vote", [True, False])
def test_an_assignment_that_is_answered_many_times_at_once_counts_once(is_same_vote: bool) -> None:
    study = make_study(comparisons=1, overlap=3)
    (annotator,) = make_annotators(study, 1)
    assignment = next_assignment(annotator=annotator, rules=RULES, now=timezone.now()).assignment
    assert assignment
    same = ballot()
    ballots = [same if is_same_vote else ballot() for _ in range(8)]
    results = at_once(
        [partial(cast_vote, ballot=this, assignment=assignment, rules=RULES, now=timezone.now()) for this in ballots]
    )
    others = CastState.DUPLICATE if is_same_vote else CastState.ALREADY_VOTED
    assert sorted(result.state for result in results) == sorted([CastState.ACCEPTED, *[others] * 7])
    assert len({result.vote.pk for result in results}) == 1
    assert Vote.objects.count() == 1
    assert_invariants(study)


def test_the_open_link_lets_in_no_more_than_it_may() -> None:
    study = make_study(comparisons=1, overlap=1)
    rules = VotingRules(comparisons_per_annotator=1, most_annotators=3)

    def try_to_join() -> bool:
        try:
            join(study=study, rules=rules, now=timezone.now())
        except Refused:
            return False
        return True

    assert sorted(at_once([try_to_join] * 8)) == [False] * 5 + [True] * 3
