"""Mark an annotator's votes as excluded or included by the study's rules.

The marks follow from the votes and can be computed again at any time. An excluded vote keeps its slot and its row.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.models.assignment import IN_ORDER
from annotation.voting import slots
from annotation.voting.quality.broken_rules import (
    HALF,
    SEPARATOR,
    Conduct,
    broken_rules,
    is_clear,
    longest_run_of,
    rules_in,
    thresholds,
)
from annotation.voting.quality.screening_out import locked, screen_out
from annotation.voting.rules import QualityRules, VotingRules
from annotation.voting.storage.sqlite_queue import in_turn

Kind, State = Assignment.Kind, Annotator.State
VOTES_AT_ONCE = 200  # marked in one transaction, each with a comparison to count again
JUDGED = (State.ACTIVE, State.FINISHED)


def judge(*, annotator: Annotator, rules: VotingRules) -> bool:
    """Store which rules the annotator's votes break now; return whether `mark` is due.

    Runs under the annotator's `lock`. The cost depends on the annotator's own votes, not on the study's. An annotator
    who was screened out is not judged again.
    """
    if not rules.quality.in_force or annotator.state not in JUDGED:
        return False
    before, annotator.broken_rules = annotator.broken_rules, _broken_by(annotator, rules)
    if annotator.broken_rules != before:
        Annotator.objects.filter(pk=annotator.pk).update(broken_rules=annotator.broken_rules)
    return bool(before or annotator.broken_rules)


def _broken_by(annotator: Annotator, rules: VotingRules) -> str:
    """The rules that the annotator's votes break, as `Annotator.broken_rules` names them."""
    limits = thresholds(rules.quality, rules.comparisons_per_annotator)
    return SEPARATOR.join(broken_rules(conduct_of(annotator, rules.quality), limits))


def mark(*, annotator: Annotator, now: datetime) -> None:
    """Mark the annotator's votes by the rules that `judge` stored. If the process dies, `review_all` marks the rest.

    It waits for several comparisons, so it runs in no transaction that holds one (see `slots`).
    """
    while _mark_some(annotator.pk, now) == VOTES_AT_ONCE:
        pass


@in_turn
def _mark_some(annotator_id: int, now: datetime) -> int:
    annotator = locked(annotator_id)
    reason = "; ".join(rule.words for rule in rules_in(annotator.broken_rules))
    wrong = dict(_marked_otherwise(annotator, reason).values_list("pk", "assignment__comparison")[:VOTES_AT_ONCE])
    Vote.objects.filter(pk__in=wrong).update(excluded_at=now if reason else None, exclusion_reason=reason)
    slots.recount(set(wrong.values()))
    return len(wrong)


def _marked_otherwise(annotator: Annotator, reason: str) -> QuerySet[Vote]:
    standing = Vote.objects.filter(
        assignment__annotator=annotator, assignment__kind=Kind.MAIN, state=Vote.State.STANDING
    )
    return standing.exclude(exclusion_reason=reason).order_by()


def review_all(*, study: Study, rules: VotingRules, now: datetime) -> None:
    """Judge and mark all annotators again, because later votes change on which comparisons others agree clearly.

    For a study whose voting has ended. Votes are read before anything is locked, and only changes are written, in short
    transactions. If it is interrupted, it starts again.
    """
    if not rules.quality.in_force:
        return
    for annotator in study.annotators.filter(state__in=JUDGED).order_by("pk"):
        _note(annotator.pk, _broken_by(annotator, rules))
        mark(annotator=annotator, now=now)


def _note(annotator_id: int, broken: str) -> None:
    judged = Annotator.objects.filter(pk=annotator_id, state__in=JUDGED)
    judged.exclude(broken_rules=broken).update(broken_rules=broken)


def finish_annotator(*, annotator: Annotator, rules: VotingRules, now: datetime) -> None:
    """Finish an annotator: mark the votes as they were judged last, and screen out if a broken rule says so."""
    if rules.quality.in_force:
        mark(annotator=annotator, now=now)
        screen_out(annotator=annotator, rules=rules, now=now)


def conduct_of(annotator: Annotator, rules: QualityRules) -> Conduct:
    """The counts that the rules look at; one query, and another one if repeats were contradicted."""
    votes = Vote.objects.filter(assignment__annotator=annotator, state=Vote.State.STANDING)
    given = list(
        votes.exclude(assignment__kind=Kind.PRACTICE)
        .select_related("assignment")
        .defer("assignment__left_images", "assignment__right_images")
        .order_by(*IN_ORDER)
    )
    main = [vote for vote in given if vote.assignment.kind == Kind.MAIN]
    times = [vote.response_ms for vote in main if vote.response_ms is not None]
    return Conduct(
        checks_failed=sum(is_failed(vote, rules) for vote in given),
        fast_votes=sum(time < rules.fast_seconds * 1000 for time in times),
        longest_run=longest_run_of([vote.choice for vote in main]),
        repeats_contradicted=len(clear_among(contradicted(given), annotator)),
    )


def is_failed(vote: Vote, rules: QualityRules) -> bool:
    """Whether the vote fails a check that counts: an instructed one, or one with half of the images replaced."""
    assignment = vote.assignment
    is_rung = assignment.kind == Kind.LADDER and assignment.occurrence < len(rules.ladder)
    counts = rules.ladder[assignment.occurrence] >= HALF if is_rung else assignment.kind == Kind.INSTRUCTED
    return counts and vote.choice != assignment.known_choice


def contradicted(votes: Iterable[Vote]) -> set[int]:
    """The comparisons for which the annotator chose one model first and the other one in the repeat."""
    chosen: dict[tuple[int, str], str] = {}
    for vote in votes:
        if vote.choice != Vote.Choice.TIE:
            chosen[vote.assignment.comparison_id, vote.assignment.kind] = vote.chosen_model
    first = {comparison: model for (comparison, kind), model in chosen.items() if kind == Kind.MAIN}
    again = {comparison: model for (comparison, kind), model in chosen.items() if kind == Kind.REPEAT}
    return {comparison for comparison in first.keys() & again.keys() if first[comparison] != again[comparison]}


def clear_among(comparison_ids: set[int], annotator: Annotator) -> set[int]:
    """The comparisons on which others agree clearly by their votes, never by a score."""
    if not comparison_ids:
        return set()
    counts = {comparison: Counter[str]() for comparison in comparison_ids}
    votes = slots.counted_votes().filter(assignment__comparison__in=comparison_ids).exclude(choice=Vote.Choice.TIE)
    for vote in votes.exclude(assignment__annotator=annotator).select_related("assignment"):
        counts[vote.assignment.comparison_id][vote.chosen_model] += 1
    return {comparison for comparison, votes in counts.items() if is_clear((votes["a"], votes["b"]))}
