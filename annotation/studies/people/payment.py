"""Payments to the annotators of a study: votes, minutes at work, completion code, and pay at a rate per hour."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.models.annotator import MARKED, PEOPLE
from annotation.studies.current import current_manifest
from annotation.studies.onboarding_plan import PlatformPlan

LONGEST_GAP = timedelta(minutes=10)  # a longer one between two acts is a break, and no work
AT_ONCE = 200  # annotators whose moments are in memory together
MOST_PER_HOUR = 10_000.0
PAYMENT_FIELDS = ["platform id or label", "code"]  # what the audit says that a download held


@dataclass(frozen=True, slots=True)
class Payment:
    """One annotator. name: the platform's id, else the label, else the pseudonym. minutes: at work, without breaks."""

    name: str
    state: str
    vote_count: int
    minutes: float
    code: str

    def pay(self, per_hour: float) -> float:
        """Return the suggested pay, to the cent."""
        return round(self.minutes / 60 * per_hour, 2)


def payments(study: Study, names: dict[int, str]) -> Iterator[Payment]:
    """Yield what is owed to each person who came, in the order of their arrival; nobody who has withdrawn.

    Nothing is known any more of a person who has withdrawn, not even the platform's id.
    """
    platform = current_manifest(study).platform
    people = study.annotators.filter(kind__in=PEOPLE).exclude(state=Annotator.State.WITHDRAWN).order_by("pk")
    listed = list(people)
    for start in range(0, len(listed), AT_ONCE):
        some = listed[start : start + AT_ONCE]
        moments, votes = _moments(some)
        for one in some:
            spent = sorted([*_marks(one), *moments[one.pk]])
            if spent and one.pk in names:  # else they joined after the names were read
                is_erased = one.external_id.startswith(MARKED)
                name = names[one.pk] if is_erased else one.external_id or names[one.pk]
                code = completion_code(one, platform, vote_count=votes[one.pk])
                yield Payment(name, one.state, votes[one.pk], worked_minutes(spent), code)


def worked_minutes(moments: Sequence[datetime]) -> float:
    """Return the minutes between moments in their order, without gaps longer than LONGEST_GAP.

    >>> from datetime import UTC
    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> worked_minutes([start + timedelta(minutes=minute) for minute in (0, 4, 9, 60, 61)])
    10.0
    """
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    return sum((gap for gap in gaps if gap <= LONGEST_GAP), timedelta()).total_seconds() / 60


def completion_code(one: Annotator, platform: PlatformPlan, *, vote_count: int) -> str:
    """Return the code that an annotator's last page gives them; empty if they are not at the end or there is none."""
    if one.state == Annotator.State.SCREENED_OUT:
        is_early = one.screened_out_for == Annotator.Screening.COMPREHENSION
        return platform.screened_out_code if is_early else platform.failed_checks_code
    if one.state == Annotator.State.FINISHED:
        return platform.complete_code if vote_count else platform.study_full_code
    return ""


def _marks(one: Annotator) -> list[datetime]:
    marks = (one.welcomed_at, one.instructions_read_at, one.check_passed_at, one.finished_at)
    return [moment for moment in marks if moment]


def _moments(people: Sequence[Annotator]) -> tuple[dict[int, list[datetime]], dict[int, int]]:
    """Return when each of these people was given a comparison or voted, and how many of their votes stand."""
    moments: dict[int, list[datetime]] = defaultdict(list)
    votes: dict[int, int] = defaultdict(int)
    for pk, given in Assignment.objects.filter(annotator__in=people).order_by().values_list("annotator", "leased_at"):
        moments[pk].append(given)
    given_votes = Vote.objects.filter(assignment__annotator__in=people).order_by()
    rows = given_votes.values_list("assignment__annotator", "assignment__kind", "state", "received_at")
    for pk, kind, state, received in rows:
        moments[pk].append(received)
        votes[pk] += kind == Assignment.Kind.MAIN and state == Vote.State.STANDING
    return moments, votes
