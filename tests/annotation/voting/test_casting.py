import uuid
from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction

from annotation.models import Annotator, Study, Vote
from annotation.voting.annotators import Arrival, by_resume_code, by_token, invite, join, read_instructions
from annotation.voting.assignment import Next, NextKind, expire_leases, next_assignment, release
from annotation.voting.availability import Closure
from annotation.voting.casting import (
    Ballot,
    BallotInvalid,
    CastState,
    undo_vote,
    vote_and_next,
)
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

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=2, overlap=1)


@pytest.fixture
def annotator(study: Study) -> Annotator:
    return make_annotators(study, 1)[0]


def test_a_vote_counts_and_closes_the_lease(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    result = choose(assignment, "right")
    assignment.refresh_from_db()
    assert (result.state, result.vote.choice, result.vote.received_at) == (CastState.ACCEPTED, "right", NOON)
    assert (assignment.state, assignment.lease_expires_at) == ("voted", None)
    assert_invariants(study)


def test_a_vote_by_a_clock_that_is_behind_the_lease_s_counts(annotator: Annotator) -> None:
    assert RULES.minimum_viewing_seconds == 0
    assert choose(lease(annotator), seconds=-2).state == CastState.ACCEPTED


def test_the_same_vote_an_hour_later_counts_once(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    ballot = Ballot(uuid.uuid4(), "left")
    first = cast_vote(ballot=ballot, assignment=assignment, rules=RULES, now=NOON)
    again = cast_vote(ballot=ballot, assignment=assignment, rules=RULES, now=after(seconds=3600))
    assert (first.state, again.state) == (CastState.ACCEPTED, CastState.DUPLICATE)
    assert again.vote.received_at == NOON
    assert_invariants(study)


def test_a_second_vote_changes_nothing(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    first = choose(assignment, "left")
    second = choose(assignment, "right")
    assert (second.state, second.vote) == (CastState.ALREADY_VOTED, first.vote)
    assert_invariants(study)


def test_a_vote_id_of_another_comparison_is_refused(study: Study, annotator: Annotator) -> None:
    ballot = Ballot(uuid.uuid4(), "left")
    cast_vote(ballot=ballot, assignment=lease(annotator), rules=RULES, now=NOON)
    with pytest.raises(BallotInvalid, match="another comparison"):
        cast_vote(ballot=ballot, assignment=lease(annotator), rules=RULES, now=NOON)


def test_a_vote_after_the_lease_is_taken_while_its_slot_is_free(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    expire_leases(now=after(seconds=600))
    assert choose(assignment, seconds=700).state == CastState.ACCEPTED
    assert_invariants(study)


def test_a_vote_for_a_comparison_that_was_given_back_is_taken_too(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    release(assignment=assignment, now=NOON)
    assert choose(assignment).state == CastState.ACCEPTED
    assert_invariants(study)


def test_a_vote_whose_slot_went_to_somebody_else_is_kept_as_late() -> None:
    study = make_study(comparisons=1, overlap=1)
    first, second = make_annotators(study, 2)
    lost = lease(first)
    lease(second, seconds=600)
    result = choose(lost, seconds=700)
    assert (result.state, result.vote.state) == (CastState.LATE, "late")
    assert choose(lost, seconds=800).state == CastState.ALREADY_VOTED
    # It counts as answered: the comparison does not come back to this annotator, even when its slot is free again.
    expire_leases(now=after(seconds=1200))
    assert next_assignment(annotator=first, rules=RULES, now=after(seconds=1200)).kind == NextKind.DONE
    assert_invariants(study)


def test_a_paused_study_counts_what_was_on_the_screen(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    Study.objects.update(state="paused")
    assert choose(assignment).state == CastState.ACCEPTED
    assert_invariants(study)


def test_after_closing_a_vote_is_kept_as_late_and_the_slot_is_free(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    Study.objects.update(state="closed", closed_at=NOON)
    assert choose(assignment).state == CastState.LATE
    assert study.comparisons.get(pk=assignment.comparison_id).slot_count == 0
    assert_invariants(study)


def test_after_the_closing_time_a_vote_is_kept_as_late_though_nothing_closed_the_study_yet(
    study: Study, annotator: Annotator
) -> None:
    assignment = lease(annotator)
    rules = replace(RULES, closes_at=after(seconds=60))
    assert choose(assignment, rules=rules, seconds=59).state == CastState.ACCEPTED
    later = lease(annotator)
    assert choose(later, rules=rules, seconds=60).state == CastState.LATE


def test_ties_only_where_the_study_has_them(annotator: Annotator) -> None:
    assignment = lease(annotator)
    with pytest.raises(BallotInvalid, match="no ties"):
        choose(assignment, "tie")
    with pytest.raises(BallotInvalid, match="left, right or tie"):
        choose(assignment, "both")
    assert choose(assignment, "tie", rules=replace(RULES, are_ties_allowed=True)).state == CastState.ACCEPTED


def test_a_vote_before_the_images_could_be_seen_is_refused(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    rules = replace(RULES, minimum_viewing_seconds=2.5)
    with pytest.raises(BallotInvalid, match=r"at least 2\.5 seconds"):
        choose(assignment, rules=rules, seconds=2)
    with pytest.raises(BallotInvalid, match=r"at least 1 second\."):
        choose(assignment, rules=replace(RULES, minimum_viewing_seconds=1.0), seconds=0.5)
    assert choose(assignment, rules=rules, seconds=2.5).state == CastState.ACCEPTED


def test_an_annotator_who_left_casts_nothing(annotator: Annotator) -> None:
    assignment = lease(annotator)
    Annotator.objects.update(state="withdrawn")
    with pytest.raises(Refused, match="has left the study"):
        choose(assignment)


def test_a_vote_brings_the_next_comparison_or_says_why_not(study: Study, annotator: Annotator) -> None:
    result, following = vote_and_next(
        ballot=Ballot(uuid.uuid4(), "left"), assignment=lease(annotator), rules=RULES, now=NOON
    )
    assert isinstance(following, Next)
    assert following.assignment is not None
    assert (result.state, following.kind, following.done_count) == (CastState.ACCEPTED, NextKind.COMPARISON, 1)
    Study.objects.update(state="paused")
    result, stop = vote_and_next(
        ballot=Ballot(uuid.uuid4(), "left"), assignment=following.assignment, rules=RULES, now=NOON
    )
    assert (result.state, stop) == (CastState.ACCEPTED, Closure.PAUSED)
    assert_invariants(study)


def test_undo_keeps_the_vote_superseded_and_holds_the_slot(study: Study, annotator: Annotator) -> None:
    assignment = lease(annotator)
    first = choose(assignment, "left").vote
    elsewhere = lease(annotator)
    undone = undo_vote(vote=first, rules=RULES, now=after(seconds=60))
    first.refresh_from_db()
    assert (undone, first.state) == (assignment, "superseded")
    assert study.comparisons.get(pk=assignment.comparison_id).slot_count == 1
    assert_invariants(study)
    # The undone comparison comes first, then the one that was on the screen.
    assert lease(annotator, seconds=61) == assignment
    assert choose(assignment, "right", seconds=62).state == CastState.ACCEPTED
    assert lease(annotator, seconds=63) == elsewhere
    assert_invariants(study)


def test_undo_brings_a_finished_annotator_back(annotator: Annotator) -> None:
    last = choose(lease(annotator)).vote
    last = choose(lease(annotator)).vote
    assert next_assignment(annotator=annotator, rules=RULES, now=NOON).kind == NextKind.DONE
    undo_vote(vote=last, rules=RULES, now=NOON)
    annotator.refresh_from_db()
    assert (annotator.state, annotator.finished_at) == ("active", None)


def test_undo_is_refused_when_it_is_too_late_or_means_nothing(study: Study, annotator: Annotator) -> None:
    vote = choose(lease(annotator)).vote
    with pytest.raises(Refused, match="time in which"):
        undo_vote(vote=vote, rules=RULES, now=after(seconds=61))
    undo_vote(vote=vote, rules=RULES, now=NOON)
    with pytest.raises(Refused, match="does not stand"):
        undo_vote(vote=vote, rules=RULES, now=NOON)
    Study.objects.update(state="closed", closed_at=NOON)
    with pytest.raises(Refused, match="has closed"):
        undo_vote(vote=vote, rules=RULES, now=NOON)
    assert_invariants(study)


def test_the_database_itself_holds_one_standing_vote(annotator: Annotator) -> None:
    assignment = lease(annotator)
    choose(assignment)
    with pytest.raises(IntegrityError), transaction.atomic():
        Vote.objects.create(assignment=assignment, choice="left")


def test_a_place_is_found_by_its_link_and_by_its_code(study: Study) -> None:
    invited = invite(study=study, label="annotator")
    assert by_token(invited.token) == invited
    code = invited.resume_code
    assert by_resume_code(f" {code[:5].lower()}-{code[5:].lower()} ") == invited
    assert by_token("outsider") is by_resume_code("") is None


def test_only_people_come_back_by_a_link(study: Study) -> None:
    for kind in ("simulated", "imported"):
        nobody = invite(study=study, label=kind, kind=kind)
        assert by_token(nobody.token) is by_resume_code(nobody.resume_code) is None


def test_the_open_link_makes_a_place_each_time_but_one_for_each_external_id(study: Study) -> None:
    first = join(study=study, rules=RULES, now=NOON)
    assert (first.kind, first.label) == ("open", "")
    assert join(study=study, rules=RULES, now=NOON) != first
    crowd = join(study=study, rules=RULES, now=NOON, arrival=Arrival("crowd-7"))
    assert join(study=study, rules=RULES, now=NOON, arrival=Arrival("crowd-7")) == crowd


def test_the_open_link_closes_with_the_study_and_when_it_is_full(study: Study) -> None:
    rules = replace(RULES, most_annotators=1)
    known = join(study=study, rules=rules, now=NOON, arrival=Arrival("crowd-7"))
    with pytest.raises(Refused, match="Others are working"):
        join(study=study, rules=rules, now=NOON)
    Study.objects.update(state="paused")
    with pytest.raises(Refused, match="paused"):
        join(study=study, rules=RULES, now=NOON)
    assert join(study=study, rules=rules, now=NOON, arrival=Arrival("crowd-7")) == known


def test_a_simulated_annotator_takes_nobody_s_place(study: Study) -> None:
    invite(study=study, label="", kind=Annotator.Kind.SIMULATED)
    assert join(study=study, rules=replace(RULES, most_annotators=1), now=NOON).kind == "open"


def test_reading_the_instructions_is_recorded_once(annotator: Annotator) -> None:
    read_instructions(annotator=annotator, now=NOON)
    read_instructions(annotator=annotator, now=after(seconds=9))
    annotator.refresh_from_db()
    assert annotator.instructions_read_at == NOON
