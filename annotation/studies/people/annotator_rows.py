"""The annotators of a study: what each one does now, their speed, and the checks that they passed. Nothing sealed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import OuterRef, QuerySet, Subquery

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.models.annotator import PEOPLE
from annotation.studies.manifest import Manifest
from annotation.voting.quality.broken_rules import HALF, rules_in
from annotation.voting.quality.exclusion import is_failed
from annotation.voting.rules import QualityRules
from jobs.row_counts import count_of

IDLE_AFTER = timedelta(minutes=10)
Kind, State = Assignment.Kind, Assignment.State
ENDED = {
    Annotator.State.FINISHED: "done",
    Annotator.State.WITHDRAWN: "withdrew",
    Annotator.State.SCREENED_OUT: "screened out",
}
BY_KIND = {Annotator.Kind.IMPORTED: "votes imported", Annotator.Kind.SIMULATED: "simulated"}


@dataclass(frozen=True, slots=True)
class AnnotatorRow:
    """One annotator. situation: what they do, in one or two words. last_seen: None if they never came.

    quota: how many comparisons they get. held_count: comparisons on the screen or fetched ahead. seconds: their median
    time for a vote; None without one. checks: (passed, answered) of the checks that count. reasons: why their votes are
    excluded, or why they were screened out.
    """

    annotator: Annotator
    name: str
    situation: str
    last_seen: datetime | None
    vote_count: int
    quota: int
    held_count: int
    seconds: float | None
    checks: tuple[int, int]
    reasons: tuple[str, ...]

    @property
    def is_active(self) -> bool:
        """Whether they are at it now."""
        return self.situation in ("reading", "practising", "voting")


def with_counts(annotators: QuerySet[Annotator]) -> QuerySet[Annotator]:
    """Return the annotators with what `annotator_rows` reads of each: counts of assignments, and the latest ones.

    The latest ones are those of the newest rows, which an index finds: the maximum over 10,000 votes of each of fifty
    people took a third of a second.
    """
    own = Assignment.objects.filter(annotator=OuterRef("pk")).order_by()
    given = Vote.objects.filter(assignment__annotator=OuterRef("pk")).order_by()
    return annotators.annotate(
        # A main assignment in the state VOTED has exactly one standing vote.
        vote_count=count_of(Assignment.objects.filter(state=State.VOTED, kind=Kind.MAIN), "annotator"),
        held_count=count_of(Assignment.objects.filter(state=State.LEASED, kind=Kind.MAIN), "annotator"),
        main_count=count_of(Assignment.objects.filter(kind=Kind.MAIN), "annotator"),
        practice_count=count_of(Assignment.objects.filter(kind=Kind.PRACTICE), "annotator"),
        last_given=Subquery(own.order_by("-pk").values("leased_at")[:1]),
        last_vote=Subquery(given.order_by("-assignment").values("received_at")[:1]),
    )


def annotator_rows(
    study: Study, manifest: Manifest, annotators: Sequence[Annotator], names: dict[int, str], now: datetime
) -> list[AnnotatorRow]:
    """Return the rows of some annotators of the study, which `with_counts` has read; with two queries for all."""
    people = [one for one in annotators if one.kind in PEOPLE]
    seconds, checks = _median_seconds(people), _checks(people, manifest.quality)
    quota = manifest.voting_rules().comparisons_per_annotator
    return [_row(study, one, names[one.pk], quota, seconds, checks, now) for one in annotators if one.pk in names]


def _row(
    study: Study,
    one: Annotator,
    name: str,
    quota: int,
    seconds: dict[int, float],
    checks: dict[int, tuple[int, int]],
    now: datetime,
) -> AnnotatorRow:
    counts = {key: getattr(one, key) or 0 for key in ("vote_count", "held_count", "main_count", "practice_count")}
    last_seen = last_seen_of(one)
    return AnnotatorRow(
        annotator=one,
        name=name,
        situation=situation_of(one, last_seen, now, counts=counts, is_over=study.is_over),
        last_seen=last_seen,
        vote_count=counts["vote_count"],
        quota=quota,
        held_count=0 if study.is_over else counts["held_count"],
        seconds=seconds.get(one.pk),
        checks=checks.get(one.pk, (0, 0)),
        reasons=_reasons(one),
    )


def last_seen_of(one: Annotator) -> datetime | None:
    """Return when the annotator last did something that is stored; None if they never came."""
    came = one.created_at if one.kind == Annotator.Kind.OPEN else None
    marks = (one.welcomed_at, one.instructions_read_at, one.check_passed_at, one.finished_at, one.withdrawn_at)
    seen = (*marks, came, getattr(one, "last_given", None), getattr(one, "last_vote", None))
    return max((moment for moment in seen if moment), default=None)


def situation_of(
    one: Annotator, last_seen: datetime | None, now: datetime, *, counts: dict[str, int], is_over: bool
) -> str:
    """Return in words what an annotator does now; once the voting is over, how far they came."""
    if ended := BY_KIND.get(Annotator.Kind(one.kind)) or ENDED.get(Annotator.State(one.state)):
        return ended
    if last_seen is None:
        return "never came" if is_over else "invited"
    if is_over:
        return "not finished"
    if last_seen < now - IDLE_AFTER:
        return "idle"
    if counts["main_count"]:
        return "voting"
    return "practising" if counts["practice_count"] else "reading"


def _reasons(one: Annotator) -> tuple[str, ...]:
    rules = tuple(rule.words for rule in rules_in(one.broken_rules))
    if one.screened_out_for == Annotator.Screening.COMPREHENSION:
        return (*rules, "failed the questions about the instructions")
    return rules


def _median_seconds(people: Sequence[Annotator]) -> dict[int, float]:
    """Return the median time for a vote of each of these people who have one."""
    votes = Vote.objects.filter(
        assignment__annotator__in=people, assignment__kind=Kind.MAIN, state=Vote.State.STANDING, response_ms__gt=0
    )
    times: dict[int, list[int]] = defaultdict(list)
    for pk, time in votes.order_by().values_list("assignment__annotator", "response_ms"):
        times[pk].append(time or 0)
    return {pk: median(listed) / 1000 for pk, listed in times.items()}


def _checks(people: Sequence[Annotator], rules: QualityRules) -> dict[int, tuple[int, int]]:
    """Return how many checks that count each of these people passed and answered."""
    votes = Vote.objects.filter(
        assignment__annotator__in=people,
        assignment__kind__in=(Kind.INSTRUCTED, Kind.LADDER),
        state=Vote.State.STANDING,
    )
    found: dict[int, tuple[int, int]] = {}
    for vote in votes.select_related("assignment").order_by():
        assignment = vote.assignment
        if assignment.kind == Kind.LADDER and not _is_a_check(assignment.occurrence, rules):
            continue
        passed, answered = found.get(assignment.annotator_id, (0, 0))
        found[assignment.annotator_id] = (passed + (not is_failed(vote, rules)), answered + 1)
    return found


def _is_a_check(occurrence: int, rules: QualityRules) -> bool:
    """Return whether a failure at this rung counts: half of the images or more are replaced."""
    return occurrence < len(rules.ladder) and rules.ladder[occurrence] >= HALF
