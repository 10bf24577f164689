"""Early stopping: fewer votes, the same winner; no vote that might still go decides a comparison."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, product
from random import Random

import pytest
from django.db import IntegrityError, transaction

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.periodic import maintain
from annotation.voting import slots
from annotation.voting.assignment import NextKind, expire_leases, next_assignment
from annotation.voting.casting import Ballot, CastState, undo_vote
from annotation.voting.rules import VotingRules, is_decided
from annotation.voting.stopping import close_all_decided
from annotation.voting.withdrawal import withdraw
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

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
RULES = replace(RULES, stops_early=True)


def tally(choices: Sequence[str]) -> dict[str, int]:
    return {"for_a": choices.count("a"), "for_b": choices.count("b"), "ties": choices.count("t")}


def sign_and_plurality(choices: Sequence[str]) -> tuple[int, str]:
    counts = tally(choices)
    first, second = sorted(counts, key=lambda name: counts[name])[:-3:-1]
    plurality = first if counts[first] > counts[second] else "none"
    difference = counts["for_a"] - counts["for_b"]
    return (difference > 0) - (difference < 0), plurality


@pytest.mark.parametrize(("overlap", "choices"), [(1, "ab"), (2, "ab"), (5, "ab"), (8, "ab"), (4, "abt"), (7, "abt")])
def test_whatever_votes_still_come_the_winner_stays(overlap: int, choices: str) -> None:
    for votes in product(choices, repeat=overlap):
        for given in range(overlap + 1):
            if is_decided(**tally(votes[:given]), overlap=overlap):
                assert sign_and_plurality(votes[:given]) == sign_and_plurality(votes)


@pytest.mark.parametrize("overlap", [1, 2, 3, 6, 7])
def test_without_ties_it_stops_at_the_first_vote_that_makes_the_winner_certain(overlap: int) -> None:
    for given in range(overlap):
        for votes in product("ab", repeat=given):
            rest = overlap - given
            ends = {sign_and_plurality((*votes, *side * rest))[0] for side in "ab"}
            assert is_decided(**tally(votes), overlap=overlap) == (len(ends) == 1 and 0 not in ends)


def test_never_before_more_than_half_of_the_votes_are_in() -> None:
    for overlap in range(1, 12):
        for given in range(overlap // 2 + 1):
            assert not is_decided(for_a=given, for_b=0, ties=0, overlap=overlap)
        assert is_decided(for_a=overlap // 2 + 1, for_b=0, ties=0, overlap=overlap)


def answer(annotator: Annotator, model: str = "a", *, seconds: float = 0) -> Vote:
    return choose(lease(annotator, seconds=seconds), model, seconds=seconds).vote


def ask(annotator: Annotator, *, seconds: float, rules: VotingRules = RULES) -> NextKind:
    return next_assignment(annotator=annotator, rules=rules, now=after(seconds=seconds)).kind


def is_closed(study: Study) -> bool:
    return study.comparisons.get().decided_at is not None


@pytest.fixture
def study() -> Study:
    """One comparison, three votes wanted; a vote may be undone for 60 seconds."""
    return make_study(comparisons=1, overlap=3, early_stopping=True)


@pytest.fixture
def people(study: Study) -> list[Annotator]:
    return make_annotators(study, 6)


def test_two_votes_of_three_are_enough_and_the_third_annotator_is_done(study: Study, people: list[Annotator]) -> None:
    for annotator in people[:2]:
        answer(annotator)
    assert ask(people[2], seconds=61) == NextKind.DONE
    assert is_closed(study)
    assert_invariants(study)


def test_a_vote_that_may_still_be_undone_closes_nothing(study: Study, people: list[Annotator]) -> None:
    answer(people[0])
    vote = answer(people[1], seconds=10)
    assert close_all_decided(study=study, rules=RULES, now=after(seconds=70)) == 0
    undo_vote(vote=vote, rules=RULES, now=after(seconds=70))
    assert close_all_decided(study=study, rules=RULES, now=after(seconds=71)) == 0
    choose(lease(people[1], seconds=71), "b", seconds=71)
    assert ask(people[2], seconds=200) == NextKind.COMPARISON
    assert_invariants(study)


def test_a_vote_undone_at_the_moment_of_closing_opens_the_comparison_again(
    study: Study, people: list[Annotator]
) -> None:
    answer(people[0])
    vote = answer(people[1], seconds=10)
    assert close_all_decided(study=study, rules=RULES, now=after(seconds=71)) == 1
    undo_vote(vote=vote, rules=RULES, now=after(seconds=70))  # its request came first and waited for its turn
    assert not is_closed(study)
    assert_invariants(study)


def test_leases_count_as_votes_to_come_and_their_votes_count_after_the_closing(
    study: Study, people: list[Annotator]
) -> None:
    Comparison.objects.update(overlap=4)
    for annotator in people[:2]:
        answer(annotator)
    held = [lease(annotator, seconds=61) for annotator in people[2:4]]
    assert close_all_decided(study=study, rules=RULES, now=after(seconds=61)) == 0  # 2 of 4, two more on screens
    choose(held[0], "a", seconds=62)
    assert close_all_decided(study=study, rules=RULES, now=after(seconds=130)) == 1
    choose(held[1], "b", seconds=131)
    assert list(study.comparisons.values_list("vote_count", "lead")) == [(4, 2)]
    assert_invariants(study)


def test_a_waiting_annotator_is_done_once_the_comparison_on_the_others_screen_is_decided(
    study: Study, people: list[Annotator]
) -> None:
    answer(people[0])
    answer(people[1], seconds=10)
    lease(people[2], seconds=10)
    assert ask(people[3], seconds=20) == NextKind.WAIT
    assert ask(people[3], seconds=71) == NextKind.DONE
    assert_invariants(study)


def test_the_upkeep_closes_what_nobody_asks_for(study: Study, people: list[Annotator]) -> None:
    for annotator in people[:2]:
        answer(annotator)
    maintain(after(seconds=61))
    assert is_closed(study)


def test_a_vote_on_a_lease_that_ended_is_taken_after_the_closing_too(study: Study, people: list[Annotator]) -> None:
    late = lease(people[0])
    for annotator in people[1:3]:
        answer(annotator)
    expire_leases(now=after(seconds=601))
    assert ask(people[3], seconds=601) == NextKind.DONE
    ballot = Ballot(uuid.uuid4(), "left")
    assert cast_vote(ballot=ballot, assignment=late, rules=RULES, now=after(seconds=602)).state == CastState.ACCEPTED
    assert is_closed(study)
    assert_invariants(study)


def exclude(vote: Vote) -> None:
    Vote.objects.filter(pk=vote.pk).update(excluded_at=NOON, exclusion_reason="too fast")
    slots.recount([vote.assignment.comparison_id])


def test_excluding_a_vote_opens_the_comparison_again(study: Study, people: list[Annotator]) -> None:
    votes = [answer(annotator) for annotator in people[:2]]
    assert ask(people[2], seconds=61) == NextKind.DONE
    exclude(votes[0])
    assert not is_closed(study)
    assert study.comparisons.get().lead == 1
    assert ask(people[2], seconds=61) == NextKind.COMPARISON
    assert_invariants(study)


def test_withdrawing_a_vote_opens_the_comparison_again(study: Study, people: list[Annotator]) -> None:
    for annotator in people[:2]:
        answer(annotator)
    assert ask(people[2], seconds=61) == NextKind.DONE
    withdraw(annotator=people[0], until=None, now=after(seconds=70))
    assert list(study.comparisons.values_list("slot_count", "vote_count", "lead", "decided_at")) == [(1, 1, 1, None)]
    assert ask(people[2], seconds=80) == NextKind.COMPARISON
    assert_invariants(study)


def test_a_higher_overlap_opens_the_comparison_again(study: Study, people: list[Annotator]) -> None:
    for annotator in people[:2]:
        answer(annotator)
    assert ask(people[2], seconds=61) == NextKind.DONE
    manifest = current_manifest(study)
    more = manifest.model_copy(update={"annotation": manifest.annotation.model_copy(update={"overlap": 5})})
    amend(study=study, manifest=more, reason="wider intervals")
    assert ask(people[2], seconds=61) == NextKind.COMPARISON
    assert_invariants(study)


def test_without_the_option_nothing_is_ever_closed(people: list[Annotator]) -> None:
    study = make_study(comparisons=1, overlap=3, slug="whole")
    rules = replace(RULES, stops_early=False)
    for annotator in make_annotators(study, 2):
        choose(lease(annotator, rules=rules), "a", rules=rules)
    maintain(after(seconds=61))
    assert not is_closed(study)
    assert study.comparisons.get().lead is None
    (third,) = make_annotators(study, 1)
    assert ask(third, seconds=61, rules=rules) == NextKind.COMPARISON


def test_the_database_itself_refuses_to_close_what_no_lead_decides(study: Study, people: list[Annotator]) -> None:
    answer(people[0])
    with pytest.raises(IntegrityError, match="comparison_decided_by_a_lead"), transaction.atomic():
        Comparison.objects.update(decided_at=NOON)
    with pytest.raises(IntegrityError, match="comparison_decided_by_a_lead"), transaction.atomic():
        Comparison.objects.update(decided_at=NOON, lead=None)


def vote_until_done(study: Study, annotators: Sequence[Annotator], rules: VotingRules, clock: "count[int]") -> None:
    """Annotators in turns; each comparison has its own chance that an annotator votes with the majority."""
    busy = list(annotators)
    while busy:
        for annotator in list(busy):
            now = NOON + timedelta(seconds=next(clock))
            following = next_assignment(annotator=annotator, rules=rules, now=now)
            if following.kind == NextKind.DONE:
                busy.remove(annotator)
            elif following.assignment:
                _answer_by_chance(following.assignment, rules, now)


def _answer_by_chance(assignment: Assignment, rules: VotingRules, now: datetime) -> None:
    position = assignment.comparison.position
    chance = Random(1000 * assignment.annotator.seed + position)  # not its id: that depends on the tests before
    if rules.are_ties_allowed and chance.random() < 0.2:
        choice = "tie"
    else:
        is_for_a = chance.random() < Random(position).random()
        choice = "left" if is_for_a == (assignment.left_model == "a") else "right"
    cast_vote(ballot=Ballot(uuid.uuid4(), choice), assignment=assignment, rules=rules, now=now)


def winners(study: Study) -> list[tuple[int, bool]]:
    """The sign of each comparison's votes, in order, and whether it closed early."""
    rows = study.comparisons.order_by("position").values_list("lead", "decided_at")
    return [((lead > 0) - (lead < 0), decided_at is not None) for lead, decided_at in rows if lead is not None]


@pytest.mark.parametrize(("overlap", "ties", "allocation"), [(3, False, "even"), (5, True, "split")])
def test_the_winners_are_those_of_the_full_overlap_with_fewer_votes(overlap: int, ties: bool, allocation: str) -> None:
    study = make_study(comparisons=12, overlap=overlap, ties=ties, early_stopping=True, allocation=allocation)
    rules = replace(current_manifest(study).voting_rules(), undo_seconds=5)
    annotators, clock = make_annotators(study, overlap + 3), count()
    vote_until_done(study, annotators, rules, clock)
    assert_invariants(study)
    stopped, cast_votes = winners(study), sum(study.comparisons.values_list("vote_count", flat=True))
    closed = sum(is_early for _winner, is_early in stopped)
    assert closed >= 2
    assert cast_votes <= 12 * overlap - closed
    # The same study, as if it did not stop early.
    Comparison.objects.update(decided_at=None)
    Annotator.objects.update(waiting_since=None)
    vote_until_done(study, annotators, replace(rules, stops_early=False), clock)
    assert list(study.comparisons.values_list("vote_count", flat=True)) == [overlap] * 12
    for (early, is_early), (full, _) in zip(stopped, winners(study), strict=True):
        assert early == full or not is_early
