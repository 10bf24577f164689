"""Practice comparisons: pairs of known order that an annotator answers before the comparisons, with feedback."""

from dataclasses import asdict
from datetime import datetime

from annotation.models import Annotator, Assignment, Vote
from annotation.voting.assignment import lock
from annotation.voting.checks.known_order import seeded_pair
from annotation.voting.storage.sqlite_queue import in_turn

PRACTICE = Assignment.Kind.PRACTICE


@in_turn
def practice(*, annotator: Annotator, number: int, now: datetime) -> Assignment:
    """Return practice comparison `number`, from 0, of the annotator; create it the first time."""
    annotator = lock(annotator.pk)
    if known := practised(annotator=annotator, number=number):
        return known
    pair = seeded_pair(study=annotator.study, seed=annotator.seed, purpose="practice", number=number)
    return Assignment.objects.create(
        **asdict(pair),
        annotator=annotator,
        kind=PRACTICE,
        occurrence=number,
        state=Assignment.State.RELEASED,  # practice holds no slot
        leased_at=now,
    )


def practised(*, annotator: Annotator, number: int) -> Assignment | None:
    """The annotator's practice comparison of this number, or None."""
    return Assignment.objects.filter(annotator=annotator, kind=PRACTICE, occurrence=number).first()


def practice_count(annotator: Annotator) -> int:
    """Return the number of practice comparisons that the annotator has answered."""
    return Assignment.objects.filter(annotator=annotator, kind=PRACTICE, state=Assignment.State.VOTED).count()


@in_turn
def answer_practice(*, assignment: Assignment, choice: str, now: datetime) -> Vote:
    """Store the answer to a practice comparison; the first answer counts."""
    lock(assignment.annotator_id)
    this = Assignment.objects.filter(pk=assignment.pk)
    if this.filter(state=Assignment.State.RELEASED).update(state=Assignment.State.VOTED):
        return Vote.objects.create(assignment=assignment, choice=choice, received_at=now)
    return assignment.votes.get()
