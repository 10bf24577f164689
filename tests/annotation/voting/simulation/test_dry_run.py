"""The dry run gives comparisons as many votes as real voting does, under all rules."""

from uuid import uuid4

import numpy as np
import pytest
from django.utils import timezone

from annotation.models import Annotator, Comparison
from annotation.studies.current import current_manifest
from annotation.voting.assignment import next_assignment
from annotation.voting.casting import Ballot
from annotation.voting.rules import Allocation, is_decided
from annotation.voting.simulation.dry_run import Collecting, Habits, dry_run
from tests.annotation.voting.open_studies import cast_vote
from tests.factories import make_study

ALLOCATIONS: tuple[Allocation, ...] = ("even", "nearly_done", "split")


def unanimous(comparisons: int, rules: Collecting) -> list[int]:
    """The votes of each comparison if all votes go to its winner; the fewest first."""
    votes, lead = dry_run(np.random.default_rng(1), np.ones((1, comparisons)), rules)
    assert (votes == lead).all()
    return sorted(votes[0].tolist())


@pytest.mark.django_db
@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("stops_early", [False, True])
@pytest.mark.parametrize(("annotators", "quota"), [(2, 3), (5, 4), (9, 4)])
def test_it_gives_the_votes_that_annotators_one_after_the_other_give(
    annotators: int, quota: int, allocation: Allocation, stops_early: bool
) -> None:
    plan = {"overlap": 3, "comparisons_per_annotator": quota, "allocation": allocation, "undo_seconds": 0}
    study = make_study(comparisons=7, annotation={**plan, "early_stopping": stops_early})
    rules = current_manifest(study).voting_rules()
    for number in range(annotators):
        annotator = Annotator.objects.create(study=study, kind=Annotator.Kind.PERSONAL, seed=1000 + number)
        while assignment := next_assignment(annotator=annotator, rules=rules, now=timezone.now()).assignment:
            for_a = "left" if assignment.left_model == "a" else "right"
            ballot = Ballot(vote_id=uuid4(), choice=for_a)
            cast_vote(ballot=ballot, assignment=assignment, rules=rules, now=timezone.now())
    given = sorted(Comparison.objects.filter(study=study).values_list("vote_count", flat=True))
    assert unanimous(7, Collecting(3, (quota,) * annotators, allocation, stops_early)) == given


def test_no_comparison_gets_more_than_its_overlap_and_all_fill_evenly() -> None:
    votes = unanimous(30, Collecting(4, (13,) * 5))
    assert sum(votes) == 65
    assert votes[-1] - votes[0] <= 1
    assert unanimous(3, Collecting(2, (3,) * 9)) == [2, 2, 2]
    assert unanimous(6, Collecting(3, (2,) * 4, "nearly_done")) == [0, 0, 1, 1, 3, 3]


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_early_stopping_ends_where_the_winner_is_certain_and_never_changes_it(allocation: Allocation) -> None:
    clarity, overlap = np.full((50, 8), 0.7), 5
    votes, lead = dry_run(np.random.default_rng(4), clarity, Collecting(overlap, (8,) * 12, allocation, True))
    assert (votes < overlap).any()
    for count, ahead in zip(votes.flat, lead.flat, strict=True):
        for_a, for_b = int(count + ahead) // 2, int(count - ahead) // 2
        assert count == overlap or is_decided(for_a=for_a, for_b=for_b, ties=0, overlap=overlap)
        last = (for_a - 1, for_b) if for_a > for_b else (for_a, for_b - 1)  # the leader's vote came last
        assert not is_decided(for_a=last[0], for_b=last[1], ties=0, overlap=overlap)
        assert for_a != for_b


def test_tie_votes_keep_a_comparison_open_until_no_vote_to_come_can_change_its_winner() -> None:
    """One annotator after the other, so that the run with fewer annotators shows the votes before."""
    clarity, overlap, habits = np.full((300, 1), 0.7), 5, Habits(tie_share=0.4)
    before = np.zeros((300, 1), dtype=int), np.zeros((300, 1), dtype=int)
    for annotators in range(1, 8):
        rules = Collecting(overlap, (1,) * annotators, "even", True)
        votes, lead = dry_run(np.random.default_rng(6), clarity, rules, habits)
        for now, count, ahead in zip(votes.flat, *(one.flat for one in before), strict=True):
            tied = [
                ties for ties in range(count + 1) if (count - ties - abs(ahead)) % 2 == 0 <= count - ties - abs(ahead)
            ]
            stops = {_decided(count, ahead, ties, overlap) for ties in tied}
            assert (now == count) in {stop or count == overlap for stop in stops}
        before = votes, lead
    assert (votes < overlap).any()
    assert ((votes - lead) % 2 == 1).any(), "some votes were ties"


def _decided(count: int, ahead: int, ties: int, overlap: int) -> bool:
    for_a, for_b = (count - ties + ahead) // 2, (count - ties - ahead) // 2
    return is_decided(for_a=for_a, for_b=for_b, ties=ties, overlap=overlap)


def test_split_gives_the_next_votes_where_those_so_far_are_closest() -> None:
    """Two annotators vote on everything; a third one with one comparison gets a tied one if there is any."""
    votes, lead = dry_run(np.random.default_rng(2), np.full((200, 4), 0.5), Collecting(3, (4, 4, 1), "split"))
    right = (votes + lead) // 2
    third = votes == 3
    assert (third.sum(axis=1) == 1).all()
    # Tied after two votes is 1 or 2 right of three; clear after two is 0 or 3 where the third agrees, else 1 or 2.
    unanimous_third = third & ((right == 0) | (right == 3))
    others_tied = ((votes == 2) & (right == 1)).any(axis=1)
    assert not (unanimous_third.any(axis=1) & others_tied).any()
    assert others_tied.any()
