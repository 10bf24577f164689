"""Exclusion by the study's rules: at once, with its reason, told to no annotator before the end, nothing deleted."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.studies.lifecycle.periodic import maintain
from annotation.voting import slots
from annotation.voting.assignment import Next, next_assignment
from annotation.voting.availability import Closure
from annotation.voting.casting import Ballot, last_vote, undo_vote, vote_and_next
from annotation.voting.quality import screening_out
from annotation.voting.quality.exclusion import review_all
from annotation.voting.rules import QualityRule, QualityRules, VotingRules
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import (
    NOON,
    RULES,
    after,
    assert_invariants,
    cast_vote,
    make_annotators,
    make_study,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
QUALITY = QualityRules(
    ladder=(0.75, 0.5, 0.25),
    repeats=3,
    instructed=1,
    repeat_distance=2,
    checks_failed=0.01,
    too_fast=0.001,
    same_side=0.002,
    repeats_contradicted=0.001,
)
CHECKED = replace(RULES, comparisons_per_annotator=16, quality=QUALITY)
Choose = Callable[[Assignment], str]


def of_model_a(assignment: Assignment) -> str:
    """Vote attentively: the known choice if there is one, else always the same model."""
    return assignment.known_choice or ("left" if assignment.left_model == "a" else "right")


def failing(assignment: Assignment) -> str:
    """Vote like the others, but fail the checks."""
    right = of_model_a(assignment)
    return {"left": "right", "right": "left"}[right] if assignment.known_choice else right


def contradicting(assignment: Assignment) -> str:
    right = of_model_a(assignment)
    return {"left": "right", "right": "left"}[right] if assignment.kind == "repeat" else right


def vote_all(
    annotator: Annotator, choose: Choose, *, rules: VotingRules = CHECKED, ms: int | None = 4000, most: int = 99
) -> list[str]:
    """Vote to the end, or `most` times; return the kinds that were given out."""
    kinds: list[str] = []

    def now() -> datetime:
        return after(seconds=1000 * annotator.pk + Vote.objects.filter(assignment__annotator=annotator).count())

    following: Next | Closure = next_assignment(annotator=annotator, rules=rules, now=now())
    while isinstance(following, Next) and following.assignment and len(kinds) < most:
        assignment = following.assignment
        kinds.append(assignment.kind)
        ballot = Ballot(vote_id=uuid.uuid4(), choice=choose(assignment), response_ms=ms)
        _result, following = vote_and_next(ballot=ballot, assignment=assignment, rules=rules, now=now())
    annotator.refresh_from_db()
    return kinds


def reasons(annotator: Annotator) -> set[str]:
    votes = Vote.objects.filter(assignment__annotator=annotator, assignment__kind="main", state="standing")
    return set(votes.values_list("exclusion_reason", flat=True))


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=16, overlap=6, images=4)


def test_somebody_attentive_keeps_every_vote(study: Study) -> None:
    (annotator,) = make_annotators(study, 1)
    vote_all(annotator, of_model_a)
    assert (annotator.state, annotator.broken_rules, reasons(annotator)) == ("finished", "", {""})


@pytest.mark.parametrize(
    ("choose", "ms", "reason"),
    [
        (failing, 4000, "checks failed"),
        (of_model_a, 400, "too fast"),
        (lambda one: one.known_choice or "left", 4000, "always the same side"),
    ],
)
def test_each_rule_marks_every_comparison_and_no_check_with_its_reason(
    study: Study, choose: Choose, ms: int, reason: str
) -> None:
    (annotator,) = make_annotators(study, 1)
    vote_all(annotator, choose, ms=ms)
    assert annotator.broken_rules == reason.replace("always the ", "").replace(" ", "_")
    assert reasons(annotator) == {reason}
    assert not Vote.objects.exclude(assignment__kind="main").exclude(excluded_at=None).exists()
    assert annotator.state == "finished"
    assert Vote.objects.filter(state="standing").count() == 16 + 7, "nothing is deleted"
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(1, 1)}, "an excluded vote keeps its slot"
    assert_invariants(study)


def test_votes_before_and_after_the_breaking_vote_are_marked_live(study: Study) -> None:
    (annotator,) = make_annotators(study, 1)
    failures = 0
    while failures < 2:
        vote_all(annotator, failing, most=1)
        last = Vote.objects.latest("received_at").assignment
        failures += last.kind == "instructed" or (last.kind == "ladder" and last.replaced_count >= 2)
        assert reasons(annotator) == ({""} if failures < 2 else {"checks failed"})
    assert annotator.broken_rules == "checks_failed"
    vote_all(annotator, of_model_a)
    assert reasons(annotator) == {"checks failed"}


def test_disagreeing_with_everybody_breaks_no_rule(study: Study) -> None:
    *others, loner = make_annotators(study, 4)
    for annotator in others:
        vote_all(annotator, of_model_a)
    vote_all(loner, lambda one: one.known_choice or ("right" if one.left_model == "a" else "left"))
    assert (loner.broken_rules, reasons(loner)) == ("", {""})


def test_contradictions_count_only_where_others_see_clearly(study: Study) -> None:
    first, *others = make_annotators(study, 4)
    vote_all(first, contradicting)
    assert first.broken_rules == "", "nobody else has voted, so nothing is clear"
    for annotator in others:
        vote_all(annotator, of_model_a)
    review_all(study=study, rules=CHECKED, now=NOON)
    first.refresh_from_db()
    assert first.broken_rules == "repeats_contradicted"
    assert reasons(first) == {"repeats contradicted"}
    assert not Annotator.objects.exclude(pk=first.pk).exclude(broken_rules="").exists()
    Vote.objects.filter(assignment__annotator=others[0], choice="left").update(choice="right")
    Vote.objects.filter(assignment__annotator=others[0], assignment__left_model="b").update(choice="left")
    review_all(study=study, rules=CHECKED, now=NOON)
    first.refresh_from_db()
    assert (first.broken_rules, reasons(first)) == ("", {""}), "split votes make it unclear, and the marks go again"


@pytest.mark.parametrize("screens_out", [(), (QualityRule.REPEATS_CONTRADICTED,)])
def test_what_became_clear_since_the_last_vote_is_judged_at_the_end(
    study: Study, screens_out: tuple[QualityRule, ...]
) -> None:
    rules = replace(CHECKED, quality=replace(QUALITY, screens_out=screens_out))
    first, *others = make_annotators(study, 4)
    vote_all(first, contradicting, rules=rules, most=22)
    evening = after(seconds=1000 * first.pk + 999)
    last = next_assignment(annotator=first, rules=rules, now=evening).assignment
    assert last
    ballot = Ballot(vote_id=uuid.uuid4(), choice=contradicting(last), response_ms=4000)
    cast_vote(ballot=ballot, assignment=last, rules=rules, now=evening)
    for annotator in others:
        vote_all(annotator, of_model_a, rules=rules)
    first.refresh_from_db()
    assert (first.state, first.broken_rules) == ("active", "")
    assert next_assignment(annotator=first, rules=rules, now=evening).kind == "done"
    first.refresh_from_db()
    assert first.state == ("screened_out" if screens_out else "finished")
    assert first.broken_rules == "repeats_contradicted"
    assert reasons(first) == {"repeats contradicted"}
    assert_invariants(study)


def test_a_failed_check_that_is_undone_fails_nothing_and_undoing_tells_nothing(study: Study) -> None:
    (annotator,) = make_annotators(study, 1)
    while not annotator.broken_rules:
        vote_all(annotator, failing, most=1)
    vote = last_vote(annotator=annotator, rules=CHECKED)
    assert vote is not None, "offered although the votes are excluded"
    undo_vote(vote=vote, rules=CHECKED, now=vote.received_at)
    annotator.refresh_from_db()
    assert (annotator.broken_rules, reasons(annotator)) == ("", {""})
    vote_all(annotator, of_model_a)
    assert (annotator.state, annotator.broken_rules) == ("finished", "")
    assert_invariants(study)


@pytest.fixture
def screening() -> VotingRules:
    return replace(CHECKED, quality=replace(QUALITY, screens_out=(QualityRule.CHECKS_FAILED,)))


def test_screening_out_comes_at_the_end_and_frees_every_slot(study: Study, screening: VotingRules) -> None:
    (annotator,) = make_annotators(study, 1)
    vote_all(annotator, failing, rules=screening, most=22)
    assert annotator.broken_rules == "checks_failed"
    assert annotator.state == "active", "nothing is told before the end"
    assert set(study.comparisons.filter(slot_count=1).values_list("vote_count", flat=True)) <= {0, 1}
    vote_all(annotator, failing, rules=screening)
    assert (annotator.state, annotator.screened_out_for) == ("screened_out", "attention")
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}
    assert Vote.objects.filter(state="standing").count() == 23
    assert reasons(annotator) == {"checks failed"}
    with pytest.raises(Refused, match="has left the study"):
        next_assignment(annotator=annotator, rules=screening, now=NOON)
    review_all(study=study, rules=screening, now=NOON)
    withdraw(annotator=annotator, until=None, now=NOON)
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}, "no slot is freed twice"


def test_slots_are_freed_in_slices_and_what_an_interruption_leaves_is_freed_once(
    study: Study, screening: VotingRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    (annotator,) = make_annotators(study, 1)
    vote_all(annotator, failing, rules=screening, most=22)
    held = annotator.assignments.filter(kind="main", state="voted")
    Assignment.objects.filter(pk=held.earliest("pk").pk).update(released_at=NOON)  # its vote came after its lease
    sizes: list[int] = []
    free = screening_out._free

    def dying(annotator_id: int, assignment_ids: Sequence[int]) -> None:
        if sizes:
            raise KeyboardInterrupt
        sizes.append(len(assignment_ids))
        free(annotator_id, assignment_ids)

    monkeypatch.setattr(screening_out, "SMALL_ROWS", 2)
    monkeypatch.setattr(screening_out, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(screening_out, "_free", dying)
    with pytest.raises(KeyboardInterrupt):
        vote_all(annotator, failing, rules=screening)
    monkeypatch.setattr(screening_out, "_free", free)
    annotator.refresh_from_db()
    assert (sizes, annotator.state, annotator.screened_out_for) == ([2], "screened_out", "")
    assert study.comparisons.filter(slot_count=1).count() == held.count() - 2
    assert not slots.counted_votes().exists()
    withdraw(annotator=annotator, until=None, now=NOON)
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}, "no slot is freed twice"


def test_the_tick_frees_the_slots_that_a_dead_process_left(
    study: Study, screening: VotingRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    (annotator,) = make_annotators(study, 1)
    with monkeypatch.context() as patched:
        patched.setattr(screening_out, "free_slots", lambda _annotator: None)
        vote_all(annotator, failing, rules=screening)
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(1, 1)}
    for _ in range(2):
        maintain(NOON)
    assert_invariants(study)
    assert Annotator.objects.get().screened_out_for == "attention"
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}


def test_only_the_rules_that_say_so_screen_out(study: Study, screening: VotingRules) -> None:
    (annotator,) = make_annotators(study, 1)
    vote_all(annotator, of_model_a, rules=screening, ms=100)
    assert (annotator.state, annotator.broken_rules) == ("finished", "too_fast")
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(1, 1)}
