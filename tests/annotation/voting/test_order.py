"""Which comparison comes first, which model is on the left, and how long an annotator waits."""

from dataclasses import replace

import pytest

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.studies.current import current_manifest
from annotation.voting.assignment import Next, NextKind, next_assignment
from annotation.voting.rules import VotingRules
from tests.annotation.voting import open_studies
from tests.annotation.voting.open_studies import RULES, after, assert_invariants, choose, make_annotators, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def rules_of(study: Study) -> VotingRules:
    return replace(current_manifest(study).voting_rules(), lease_seconds=RULES.lease_seconds, prefetch=0)


def ask(annotator: Annotator, *, seconds: float = 0) -> Next:
    return next_assignment(annotator=annotator, rules=rules_of(annotator.study), now=after(seconds=seconds))


def lease(annotator: Annotator, *, seconds: float = 0) -> Assignment:
    return open_studies.lease(annotator, seconds=seconds, rules=rules_of(annotator.study))


def vote(assignment: Assignment, model: str = "a") -> None:
    choose(assignment, model, rules=rules_of(assignment.comparison.study))


def test_nearly_done_fills_one_comparison_after_the_other() -> None:
    study = make_study(comparisons=5, overlap=3, allocation="nearly_done")
    fillings = []
    for annotator in make_annotators(study, 4):
        vote(lease(annotator))
        fillings.append(sorted(study.comparisons.values_list("slot_count", flat=True), reverse=True)[:2])
    assert fillings == [[1, 0], [2, 0], [3, 0], [3, 1]]


def test_split_gives_the_closest_votes_first_and_equal_ones_evenly() -> None:
    study = make_study(comparisons=3, overlap=5, allocation="split")
    annotators = make_annotators(study, 6)
    vote(lease(annotators[0]), "a")
    first = Comparison.objects.get(lead=1)
    others = {lease(annotator).comparison_id for annotator in annotators[1:3]}
    assert first.pk not in others  # 1 to 0 comes after 0 to 0
    assert len(others) == 2
    for held in Assignment.objects.filter(state="leased"):
        vote(held, "b")
    vote(lease(annotators[3]), "a")
    # One of the three is now 2 to 0 or even. If it is even, it comes next, else one with a single vote.
    leads = dict(study.comparisons.values_list("pk", "lead"))
    given = lease(annotators[4]).comparison_id
    assert abs(leads[given] or 0) == min(abs(lead or 0) for lead in leads.values())
    assert_invariants(study)


@pytest.mark.parametrize("allocation", ["even", "nearly_done", "split"])
def test_every_order_fills_every_comparison(allocation: str) -> None:
    study = make_study(comparisons=4, overlap=2, allocation=allocation)
    for annotator in make_annotators(study, 3):
        while assignment := ask(annotator).assignment:
            vote(assignment, "ab"[assignment.comparison.position % 2])
    assert list(study.comparisons.values_list("vote_count", flat=True)) == [2] * 4
    assert_invariants(study)


def test_sides_are_balanced_across_annotators_where_each_is_even() -> None:
    study = make_study(comparisons=1, overlap=9)
    for count, annotator in enumerate(make_annotators(study, 9), start=1):
        vote(lease(annotator))
        assert study.comparisons.get().left_lead in ((0,) if count % 2 == 0 else (-1, 1))


def test_sides_are_closer_across_annotators_than_drawn_for_each_alone() -> None:
    study = make_study(comparisons=12, overlap=10)
    for annotator in make_annotators(study, 10):
        for _ in range(12):
            vote(lease(annotator))
    squares = [lead**2 for lead in study.comparisons.values_list("left_lead", flat=True)]
    assert sum(squares) / len(squares) < 5  # drawn alone: 10 on average
    assert_invariants(study)


def test_nobody_waits_longer_than_one_lease_and_is_then_done() -> None:
    study = make_study(comparisons=1, overlap=1)
    holder, waiting = make_annotators(study, 2)
    lease(holder)
    first = ask(waiting, seconds=100)
    assert (first.kind, first.wait_seconds) == (NextKind.WAIT, 500)
    lease(holder, seconds=500)  # the holder is still there: the lease is renewed
    again = ask(waiting, seconds=600)
    assert (again.kind, again.wait_seconds) == (NextKind.WAIT, 100)
    assert ask(waiting, seconds=700).kind == NextKind.DONE
    waiting.refresh_from_db()
    assert waiting.state == "finished"


def test_an_annotator_who_waited_in_vain_gets_what_comes_free_later_and_then_waits_again() -> None:
    study = make_study(comparisons=2, overlap=1)
    holder, other, waiting = make_annotators(study, 3)
    lease(holder)
    lease(other)
    assert ask(waiting).kind == NextKind.WAIT
    lease(holder, seconds=599)
    lease(other, seconds=599)
    assert ask(waiting, seconds=600).kind == NextKind.DONE
    lease(waiting, seconds=1199 + 600)  # both leases have ended
    waiting.refresh_from_db()
    assert (waiting.state, waiting.waiting_since) == ("active", None)
