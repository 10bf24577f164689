"""Store what an annotator does around the comparisons: consent, answers, breaks. Each function may run twice."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from annotation.models import Annotator, Answer
from annotation.voting.assignment import lock
from annotation.voting.storage.sqlite_queue import in_turn

MOST_CHECK_TRIES = 2


def welcome(*, annotator: Annotator, consent_sha256: str, now: datetime) -> None:
    """Record that the annotator left the welcome page, and which consent text they agreed to. The first time counts."""
    first = Annotator.objects.filter(pk=annotator.pk, state=Annotator.State.ACTIVE, welcomed_at=None)
    first.update(welcomed_at=now, consent_sha256=consent_sha256)


@in_turn
def answer(*, annotator: Annotator, page: Answer.Page, values: Mapping[str, str], now: datetime) -> None:
    """Store the answers of a page, by the names of its questions; earlier answers stay as they were."""
    if lock(annotator.pk).state != Annotator.State.WITHDRAWN:
        _store(annotator, page, values, now)


@in_turn
def answer_check(
    *, annotator: Annotator, given: Sequence[str], right: Sequence[str], tries: int, now: datetime
) -> bool:
    """Store one try at the comprehension check; return whether the annotator passes.

    tries: how many had failed when the page was rendered, so that a form sent twice counts once. The second failed try
    screens the annotator out.
    """
    annotator = lock(annotator.pk)
    if annotator.check_passed_at or annotator.state != Annotator.State.ACTIVE or annotator.check_try_count != tries:
        return annotator.check_passed_at is not None
    values = {str(number): value for number, value in enumerate(given, start=1)}
    _store(annotator, Answer.Page.CHECK, values, now, occurrence=tries)
    is_passed = list(given) == list(right)
    if is_passed:
        annotator.check_passed_at = now
    else:
        annotator.check_try_count += 1
    if annotator.check_try_count >= MOST_CHECK_TRIES:
        annotator.state = Annotator.State.SCREENED_OUT
        annotator.screened_out_for = Annotator.Screening.COMPREHENSION
    annotator.save(update_fields=["check_passed_at", "check_try_count", "state", "screened_out_for"])
    return is_passed


def end_break(*, annotator: Annotator, number: int) -> None:
    """Record that break `number`, from 1, is over, and all breaks before it."""
    Annotator.objects.filter(pk=annotator.pk, break_count__lt=number).update(break_count=number)


def _store(
    annotator: Annotator, page: Answer.Page, values: Mapping[str, str], now: datetime, occurrence: int = 0
) -> None:
    rows = [
        Answer(annotator=annotator, page=page, name=name, occurrence=occurrence, value=value, answered_at=now)
        for name, value in values.items()
    ]
    Answer.objects.bulk_create(rows, ignore_conflicts=True)
