"""The drawing of a study's votes over time: places in an SVG, and its words."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from annotation.studies.lifecycle.votes_over_time import VotesOverTime

WIDTH = 600
LEFT, RIGHT, TOP, BOTTOM = 44, 590, 20, 182
LONGEST_FORECAST = 2  # times the time so far: a longer one leaves the drawing, or the votes would be a thin strip
ABOVE, BELOW = -8, 16  # where the words of the last point stand, as SVG's dy
MOMENT = timedelta(seconds=1)  # the least time that is drawn: the page knows now by whole minutes only
LABEL_ROOM = 130  # in units of the drawing, so that two labels of the axis never touch


@dataclass(frozen=True, slots=True)
class Label:
    """Words at a place on an axis. anchor: of the text, as SVG names it."""

    at: float
    words: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Chart:
    """The values that the template draws. line, area, forecast: the values of SVG attributes; forecast may be empty.

    now: the place of the last point, with its words beside it at now_anchor and now_dy. levels: labels of the axis of
    votes; times: of the axis of time. words: the same as a sentence, for readers of the screen.
    """

    line: str
    area: str
    forecast: str
    now: tuple[float, float]
    now_words: str
    now_anchor: str
    now_dy: int
    levels: tuple[Label, ...]
    times: tuple[Label, ...]
    words: str


def votes_chart(seen: VotesOverTime, *, is_over: bool) -> Chart:
    """Return the drawing of the votes from the opening to now, and of the forecast."""
    first = seen.points[0].at
    last = max(seen.last.at, first + MOMENT)
    end = min(seen.complete_at, last + LONGEST_FORECAST * (last - first)) if seen.complete_at else last
    span = (end - first).total_seconds()
    top = max(seen.wanted, seen.last.votes, 1)

    def place(at: datetime, votes: float) -> tuple[float, float]:
        x = LEFT + (RIGHT - LEFT) * (at - first).total_seconds() / span
        return round(x, 1), round(BOTTOM - (BOTTOM - TOP) * votes / top, 1)

    places = [*(place(point.at, point.votes) for point in seen.points[:-1]), place(last, seen.last.votes)]
    line, now = " ".join(f"{x},{y}" for x, y in places), places[-1]
    forecast = ""
    if seen.complete_at and seen.per_hour:
        votes = seen.last.votes + seen.per_hour * (end - last).total_seconds() / 3600
        x, y = place(end, min(votes, top))
        forecast = f"M{now[0]} {now[1]}L{x} {y}"
    is_at_the_end = now[0] > WIDTH - LABEL_ROOM
    return Chart(
        line=line,
        area=f"{places[0][0]},{BOTTOM} {line} {now[0]},{BOTTOM}",
        forecast=forecast,
        now=now,
        now_words=f"{seen.last.votes:,} {'votes' if is_over else 'now'}",
        now_anchor="end" if is_at_the_end else "start",
        # The curve rises to the end from below, and the times stand below the axis.
        now_dy=ABOVE if is_at_the_end or now[1] > BOTTOM - BELOW else BELOW,
        levels=tuple(Label(place(first, votes)[1], f"{votes:,}") for votes in sorted({0, top // 2, top})),
        times=_times(seen, first, end, now[0], is_over=is_over),
        words=_words(seen, is_over=is_over),
    )


def _times(seen: VotesOverTime, first: datetime, end: datetime, now: float, *, is_over: bool) -> tuple[Label, ...]:
    labels = [Label(LEFT, when(first, end))]
    is_inside = LEFT + LABEL_ROOM < now < RIGHT - LABEL_ROOM
    if seen.complete_at and is_inside:
        labels.append(Label(now, "now", "middle"))
    last = when(end, first) if seen.complete_at or is_over else "now"
    return (*labels, Label(RIGHT, last, "end"))


def when(at: datetime, other: datetime) -> str:
    """Return a time in the words that suit the distance to another one: the hour, or the day and the hour.

    >>> from datetime import UTC
    >>> when(datetime(2026, 11, 28, 15, 20, tzinfo=UTC), datetime(2026, 11, 26, 9, tzinfo=UTC))
    'Sat 28 Nov, 15:20'
    """
    return f"{at:%H:%M}" if at.date() == other.date() else f"{at:%a} {at.day} {at:%b, %H:%M}"


def _words(seen: VotesOverTime, *, is_over: bool) -> str:
    first, last = seen.points[0].at, seen.last
    sentence = f"Votes from {when(first, last.at)} to {when(last.at, first)} UTC: {last.votes:,} of {seen.wanted:,}"
    return sentence if is_over or not seen.complete_at else f"{sentence}; {forecast_words(seen)}"


def forecast_words(seen: VotesOverTime) -> str:
    """Return when the votes are complete at this pace; empty if there is no forecast."""
    if seen.complete_at is None:
        return ""
    return f"at this pace the votes are complete on {when(seen.complete_at, seen.complete_at - timedelta(days=1))} UTC"
