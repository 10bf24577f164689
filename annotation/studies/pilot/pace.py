"""The speed of voting in a pilot, and the share of people who left early. Nothing sealed: no choice is read."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.models.annotator import PEOPLE
from annotation.studies.people.annotator_rows import IDLE_AFTER


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a pilot. seconds: the median for one comparison, over all votes; None without a vote.

    middle_half: the quartiles of the seconds. of_people: the medians of the fastest and of the slowest annotator. Both
    are None with fewer than two values. left_early: of the `voters`, those who stopped before their last comparison.
    """

    votes: int
    voters: int
    seconds: float | None
    middle_half: tuple[float, float] | None
    of_people: tuple[float, float] | None
    left_early: int


def pace_of(study: Study) -> Pace:
    """Return the pace of the people of a study, with two queries. Practice, checks and repeats do not count.

    An annotator left early if they neither finished nor were screened out, and their last vote came some time before
    the closing: the closing interrupts those who are still at it.
    """
    given = Vote.objects.filter(
        assignment__annotator__study=study,
        assignment__annotator__kind__in=PEOPLE,
        assignment__kind=Assignment.Kind.MAIN,
        state=Vote.State.STANDING,
    )
    times: dict[int, list[float]] = defaultdict(list)
    last: dict[int, datetime] = {}
    rows = given.order_by("received_at").values_list("assignment__annotator", "response_ms", "received_at")
    for pk, milliseconds, received_at in rows:
        times[pk].append((milliseconds or 0) / 1000)
        last[pk] = received_at
    seconds = [one for listed in times.values() for one in listed if one > 0]
    medians = [median(known) for listed in times.values() if (known := [one for one in listed if one > 0])]
    quarters = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else []
    gone = [pk for pk, moment in last.items() if study.closed_at and moment < study.closed_at - IDLE_AFTER]
    return Pace(
        votes=sum(map(len, times.values())),
        voters=len(times),
        seconds=median(seconds) if seconds else None,
        middle_half=(quarters[0], quarters[2]) if quarters else None,
        of_people=(min(medians), max(medians)) if len(medians) > 1 else None,
        left_early=study.annotators.filter(pk__in=gone, state=Annotator.State.ACTIVE).count(),
    )
