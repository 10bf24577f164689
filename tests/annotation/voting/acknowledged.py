"""All that was acknowledged to annotators or shown to them in a study. It must never change."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.voting.slots import counted_votes, lead_of


@dataclass
class Acknowledged:
    """A record that the test writes at each action and compares with the tables after it.

    states, contents: of each vote that was acknowledged. excluded: votes that do not count. assignments: as they were
    first shown. winners: of comparisons while they are closed early.
    """

    states: dict[UUID, str] = field(default_factory=dict)
    contents: dict[UUID, tuple[Any, ...]] = field(default_factory=dict)
    excluded: set[UUID] = field(default_factory=set)
    withdrawn: dict[int, int] = field(default_factory=dict)  # annotator -> votes that the tombstone counts
    assignments: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    winners: dict[int, int] = field(default_factory=dict)

    def acknowledge(self, vote: Vote, state: str) -> None:
        """Record a vote that was received for the first time."""
        self.states[vote.pk], self.contents[vote.pk] = state, content(vote)

    def standing_on(self, assignment_id: int) -> UUID | None:
        """The standing or late vote on an assignment, or None."""
        kept = (pk for pk, state in self.states.items() if state != "superseded")
        return next((pk for pk in kept if self.contents[pk][0] == assignment_id), None)

    def withdraw(self, annotator: Annotator) -> None:
        """Record that an annotator's votes and assignments are deleted, and the count on the tombstone."""
        gone = dict(annotator.assignments.values_list("pk", "kind"))
        votes = {pk for pk, row in self.contents.items() if row[0] in gone}
        kept = (pk for pk in votes if self.states[pk] != "superseded")
        self.withdrawn[annotator.pk] = sum(gone[self.contents[pk][0]] == "main" for pk in kept)
        self.assignments = {pk: row for pk, row in self.assignments.items() if pk not in gone}
        self.states = {pk: state for pk, state in self.states.items() if pk not in votes}
        self.contents = {pk: row for pk, row in self.contents.items() if pk not in votes}
        self.excluded -= votes

    def assert_kept(self, study: Study) -> None:
        """Assert that nothing acknowledged or shown is lost, changed or doubled."""
        votes = list(Vote.objects.filter(assignment__comparison__study=study))
        assert {vote.pk: vote.state for vote in votes} == self.states
        assert {vote.pk: content(vote) for vote in votes} == self.contents
        assert {vote.pk for vote in votes if vote.excluded_at} == self.excluded | excluded_by_rule(study)
        self._assert_assignments(list(Assignment.objects.filter(comparison__study=study)))
        self._assert_winners(study)
        self._assert_counted_votes(study)
        for annotator in study.annotators.filter(pk__in=self.withdrawn):
            assert annotator.withdrawn_vote_count == self.withdrawn[annotator.pk]
            assert not annotator.assignments.exists()

    def _assert_assignments(self, assignments: list[Assignment]) -> None:
        for one in assignments:
            assert self.assignments.setdefault(one.pk, shown(one)) == shown(one)
        assert self.assignments.keys() == {one.pk for one in assignments}
        main = [one for one in assignments if one.kind == Assignment.Kind.MAIN]
        pairs = Counter((one.annotator_id, one.comparison_id) for one in main)
        assert set(pairs.values()) <= {1}
        balance: Counter[int] = Counter()
        for one in main:
            balance[one.annotator_id] += 1 if one.left_model == "a" else -1
        assert all(-1 <= lead <= 1 for lead in balance.values())

    def _assert_counted_votes(self, study: Study) -> None:
        counted = counted_votes().filter(assignment__comparison__study=study).select_related("assignment")
        leads = Counter(
            (vote.assignment.comparison_id, lead_of(vote.choice, vote.assignment.left_model)) for vote in counted
        )
        for comparison in Comparison.objects.filter(study=study):
            expected = [leads[comparison.pk, lead] for lead in (1, -1, 0)]
            assert [comparison.votes_a, comparison.votes_b, comparison.votes_tie] == expected

    def _assert_winners(self, study: Study) -> None:
        closed = Comparison.objects.filter(study=study).exclude(decided_at=None)
        now = {comparison.pk: winner(comparison) for comparison in closed}
        for pk, sign in now.items():
            assert sign != 0
            assert self.winners.get(pk, sign) == sign
        self.winners = now


def content(vote: Vote) -> tuple[Any, ...]:
    """The fields of a vote that are never edited."""
    times = (vote.shown_at, vote.voted_at, vote.received_at, vote.response_ms)
    return vote.assignment_id, vote.choice, *times


def shown(assignment: Assignment) -> tuple[Any, ...]:
    """The stored fields that tell how a comparison was shown."""
    who = (assignment.comparison_id, assignment.annotator_id, assignment.kind, assignment.occurrence)
    return *who, assignment.left_model, tuple(assignment.left_images), tuple(assignment.right_images)


def winner(comparison: Comparison) -> int:
    """The sign of the counted votes."""
    votes = counted_votes().filter(assignment__comparison=comparison).select_related("assignment")
    lead = sum(lead_of(vote.choice, vote.assignment.left_model) for vote in votes)
    return (lead > 0) - (lead < 0)


def excluded_by_rule(study: Study) -> set[UUID]:
    """All standing votes on main assignments of annotators who broke a rule of the study."""
    votes = Vote.objects.filter(assignment__comparison__study=study, assignment__kind="main", state="standing")
    return set(votes.exclude(assignment__annotator__broken_rules="").values_list("pk", flat=True))
