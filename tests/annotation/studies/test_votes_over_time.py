"""The votes of a study by hour: who counts them, what is filled in later, and the forecast."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from annotation.models import Comparison, Study, Vote, VotesByHour
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.votes_over_time import fill_earlier, note_votes, votes_over_time
from annotation.voting.annotators import invite
from annotation.web.researcher.overview.votes_chart import ABOVE, BELOW, BOTTOM, LEFT, RIGHT, TOP, votes_chart
from tests.factories import give_vote, make_study

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)  # a Friday


def opened(at: datetime, **manifest: object) -> Study:
    study = make_study(**manifest)  # type: ignore[arg-type]
    Study.objects.filter(pk=study.pk).update(opened_at=at)
    study.refresh_from_db()
    return study


def hours_of(study: Study) -> list[tuple[int, int]]:
    return [(row.hour.hour, row.vote_count) for row in study.votes_by_hour.all()]


def has_votes(study: Study, count: int) -> None:
    """Let the study's counters say that it has so many votes."""
    Comparison.objects.filter(study=study).update(vote_count=0)
    Comparison.objects.filter(study=study, position=0).update(overlap=1000, slot_count=count, vote_count=count)


def test_the_tick_counts_an_open_study_every_five_minutes_and_never_reads_its_votes() -> None:
    study = opened(NOON)
    assert fill_earlier(NOON) == study
    counts = []
    for minutes, votes in ((3, 1), (6, 2), (8, 3), (61, 4)):
        has_votes(study, votes)
        counts.append(note_votes([study], NOON + timedelta(minutes=minutes)))
    assert counts == [0, 1, 0, 1]
    assert hours_of(study) == [(12, 2), (13, 4)]
    assert not Vote.objects.exists()


def test_a_study_that_takes_no_votes_is_not_counted() -> None:
    studies = [make_study(slug=state, state=state) for state in ("draft", "ready", "closed")]
    assert note_votes(studies, timezone.now()) == 0
    assert not VotesByHour.objects.exists()


def test_hours_before_the_upgrade_are_filled_from_the_votes_one_study_at_a_time() -> None:
    studies = [opened(NOON - timedelta(hours=3), slug=slug) for slug in ("first", "second")]
    ada = invite(study=studies[0], label="Ada")
    for position, hours in enumerate((3, 3, 1)):
        vote = give_vote(ada, position=position)
        Vote.objects.filter(pk=vote.pk).update(received_at=NOON - timedelta(hours=hours, minutes=-10))
    assert [fill_earlier(NOON), fill_earlier(NOON), fill_earlier(NOON)] == [*studies, None]
    assert hours_of(studies[0]) == [(9, 2), (11, 3), (12, 3)]
    assert hours_of(studies[1]) == [(12, 0)]


def test_the_tick_does_both_and_a_second_one_changes_nothing() -> None:
    study = opened(timezone.now() - timedelta(hours=1))
    for _tick in range(2):
        maintain(timezone.now())
        assert study.votes_by_hour.count() == 1


def test_the_forecast_goes_on_at_the_pace_of_the_last_day() -> None:
    """48 votes in the first day and 24 in the second: 1 an hour, so the 28 that are left take 28 hours."""
    study = opened(NOON - timedelta(hours=48))
    VotesByHour.objects.create(study=study, hour=NOON, vote_count=48, seen_at=NOON - timedelta(hours=24))
    counts = replace(progress(study), vote_count=72, slot_total=100)
    seen = votes_over_time(study, counts, NOON)
    assert seen is not None
    assert [point.votes for point in seen.points] == [0, 48, 72]
    assert seen.per_hour == pytest.approx(1.0)
    assert seen.complete_at == NOON + timedelta(hours=28)
    chart = votes_chart(seen, is_over=False)
    assert "at this pace the votes are complete on Sat 28 Nov, 16:00 UTC" in chart.words
    first, last = (tuple(map(float, place.split(","))) for place in (chart.line.split()[0], chart.line.split()[-1]))
    assert (first, last) == ((LEFT, BOTTOM), chart.now)
    assert chart.now == pytest.approx((LEFT + (RIGHT - LEFT) * 48 / 76, BOTTOM - (BOTTOM - TOP) * 0.72), abs=0.1)
    assert chart.forecast.endswith(f"L{RIGHT:.1f} {TOP:.1f}")


@pytest.mark.parametrize(
    ("votes", "hours", "state"), [(4, 10, "open"), (50, 0.1, "open"), (100, 10, "open"), (50, 10, "paused")]
)
def test_there_is_no_forecast_from_too_little_or_for_nothing(votes: int, hours: float, state: str) -> None:
    study = opened(NOON - timedelta(hours=hours))
    study.state = state
    counts = replace(progress(study), vote_count=votes, slot_total=100)
    seen = votes_over_time(study, counts, NOON)
    assert seen is not None
    assert seen.complete_at is None
    assert votes_chart(seen, is_over=False).forecast == ""


def test_a_study_that_was_never_open_has_no_curve_and_a_closed_one_ends_at_its_closing() -> None:
    ready = make_study(slug="ready", state="ready")
    assert votes_over_time(ready, progress(ready), NOON) is None
    closed = opened(NOON - timedelta(hours=5))
    closed.closed_at, closed.state = NOON - timedelta(hours=2), "closed"
    seen = votes_over_time(closed, progress(closed), NOON)
    assert seen is not None
    assert (seen.last.at, seen.complete_at) == (closed.closed_at, None)


@pytest.mark.parametrize("seconds", [0, 12, 3600])
def test_the_curve_without_a_forecast_ends_at_the_end_of_the_axis_which_is_now(seconds: int) -> None:
    study = opened(NOON - timedelta(seconds=seconds))
    seen = votes_over_time(study, replace(progress(study), vote_count=3, slot_total=100), NOON)
    assert seen is not None
    chart = votes_chart(replace(seen, complete_at=None), is_over=False)
    assert (chart.times[-1].words, chart.times[-1].at) == ("now", chart.now[0])


def test_the_words_of_the_last_point_touch_neither_the_curve_nor_the_times() -> None:
    study = opened(NOON - timedelta(minutes=10))
    counts = replace(progress(study), slot_total=100)
    for votes, at in ((0, NOON - timedelta(minutes=10)), (0, NOON), (60, NOON - timedelta(minutes=5))):
        seen = votes_over_time(study, replace(counts, vote_count=votes), at)
        assert seen is not None
        assert votes_chart(seen, is_over=False).now_dy == ABOVE
    has_votes(study, 48)
    seen = votes_over_time(study, replace(counts, vote_count=48), NOON)
    assert seen is not None
    early = replace(seen, complete_at=NOON + timedelta(minutes=10), per_hour=300.0)
    assert votes_chart(early, is_over=False).now_dy == BELOW
