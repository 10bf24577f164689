"""The votes of a study by hour, and when the last one comes at the pace of the last day. Nothing sealed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Sum
from django.db.models.functions import TruncHour

from annotation.models import Assignment, Comparison, Study, Vote, VotesByHour
from annotation.studies.lifecycle.progress import StudyProgress
from annotation.voting.storage.sqlite_queue import in_turn

EVERY = timedelta(minutes=5)  # between two looks at the counters of a study
WINDOW = timedelta(hours=24)  # over which the pace is taken
MOST_HOURS = 10_000  # a forecast of more than a year says nothing
LEAST_TIME, LEAST_VOTES = timedelta(minutes=10), 5  # below these a forecast would be a guess
TAKES_VOTES = (Study.State.OPEN, Study.State.PAUSED, Study.State.CLOSING)


@dataclass(frozen=True, slots=True)
class Point:
    """The standing votes at a time."""

    at: datetime
    votes: int


@dataclass(frozen=True, slots=True)
class VotesOverTime:
    """The votes of a study from its opening to now, or to its closing. wanted: how many it needs.

    per_hour: the pace of the last WINDOW, or since the opening; None if too little is known. complete_at: when all
    votes are there at this pace; None if nobody can vote now, if there is no pace, or if nothing is missing.
    """

    points: tuple[Point, ...]
    wanted: int
    per_hour: float | None
    complete_at: datetime | None

    @property
    def last(self) -> Point:
        """The point of now, or of the closing."""
        return self.points[-1]


# --- writing --------------------------------------------------------------------------------------
def note_votes(studies: Sequence[Study], now: datetime) -> int:
    """Count the votes of those studies that take votes and were not counted lately; return how many were counted.

    A study without any hour waits for `fill_earlier`.
    """
    rows = VotesByHour.objects.filter(study=OuterRef("pk"))
    known = Study.objects.filter(Exists(rows), pk__in=[one.pk for one in studies if one.state in TAKES_VOTES])
    due = list(known.exclude(Exists(rows.filter(seen_at__gt=now - EVERY))).values_list("pk", flat=True))
    if not due:
        return 0
    comparisons = Comparison.objects.filter(study__in=due).order_by().values_list("study")
    counts = dict(comparisons.annotate(votes=Sum("vote_count")))
    _write([VotesByHour(study_id=pk, hour=_hour(now), vote_count=counts.get(pk, 0), seen_at=now) for pk in due])
    return len(due)


def fill_earlier(now: datetime) -> Study | None:
    """Fill the hours of one study that was opened before its hours were counted; return it, or None if none is left.

    This reads its votes, once.
    """
    unseen = Study.objects.filter(~Exists(VotesByHour.objects.filter(study=OuterRef("pk"))), opened_at__isnull=False)
    study = unseen.exclude(state=Study.State.READY).order_by("pk").first()
    if study is None:
        return None
    given = Vote.objects.filter(
        assignment__comparison__study=study, assignment__kind=Assignment.Kind.MAIN, state=Vote.State.STANDING
    )
    hours = given.order_by().annotate(hour=TruncHour("received_at")).values_list("hour").annotate(votes=Count("pk"))
    total, rows = 0, {}
    for hour, votes in sorted(hours):
        total += votes
        rows[hour] = VotesByHour(study=study, hour=hour, vote_count=total, seen_at=hour + timedelta(hours=1))
    last = study.closed_at or now
    rows.setdefault(_hour(last), VotesByHour(study=study, hour=_hour(last), vote_count=total, seen_at=last))
    _write(list(rows.values()))
    return study


@in_turn
def _write(rows: list[VotesByHour]) -> None:
    VotesByHour.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["study", "hour"], update_fields=["vote_count", "seen_at"]
    )


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


# --- reading --------------------------------------------------------------------------------------
def votes_over_time(study: Study, counts: StudyProgress, now: datetime) -> VotesOverTime | None:
    """Return the votes from the opening to now, with one query; None before the opening."""
    if study.opened_at is None:
        return None
    end = min(now, study.closed_at or now)
    seen = study.votes_by_hour.order_by("hour").values_list("seen_at", "vote_count")
    inside = [Point(at, votes) for at, votes in seen if study.opened_at < at < end]
    points = (Point(study.opened_at, 0), *inside, Point(max(end, study.opened_at), counts.vote_count))
    per_hour = _pace(points)
    left = counts.slot_total - counts.vote_count
    hours = left / per_hour if per_hour and study.state == Study.State.OPEN else 0
    complete_at = now + timedelta(hours=hours) if 0 < hours < MOST_HOURS else None
    return VotesOverTime(points, counts.slot_total, per_hour, complete_at)


def _pace(points: Sequence[Point]) -> float | None:
    """Return the votes an hour between the last point and the one that lies WINDOW before it, or the first."""
    last = points[-1]
    first = next((point for point in reversed(points) if point.at <= last.at - WINDOW), points[0])
    spent, votes = last.at - first.at, last.votes - first.votes
    if spent < LEAST_TIME or votes < LEAST_VOTES:
        return None
    return votes / (spent.total_seconds() / 3600)
