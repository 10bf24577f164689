"""Read the answered attention checks out of the database. They depend on no score and reveal no model."""

from django.db.models import QuerySet

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.reports.data.study_data import OTHER, SAME, UNDECIDED, CheckRow, ChecksData, RepeatRow


def gather_checks(study: Study, annotators: list[Annotator], comparisons: list[Comparison]) -> ChecksData:
    """Return the standing votes on the study's checks.

    The model shown left is read for repeats and their first votes only, to say whether both name the same model.
    """
    place = {row.pk: number for number, row in enumerate(annotators)}
    votes = _standing(study).order_by(
        "assignment__annotator", "assignment__kind", "assignment__occurrence", "assignment__comparison__position"
    )
    kinds = set(Assignment.CHECKS) - {Assignment.Kind.REPEAT}
    rows = votes.filter(assignment__kind__in=kinds).select_related("assignment").defer("assignment__left_model")
    known = tuple(
        CheckRow(
            annotator=place[vote.assignment.annotator_id],
            replaced=vote.assignment.replaced_count,
            images=len(vote.assignment.left_images) if vote.assignment.replaced_count else 0,
            is_right=vote.choice == vote.assignment.known_choice,
        )
        for vote in rows
        if vote.assignment.known_choice
    )
    repeats = votes.filter(assignment__kind=Assignment.Kind.REPEAT)
    again = list(_with_assignment(repeats)) if repeats.exists() else []
    position = {row.pk: number for number, row in enumerate(comparisons)}
    return ChecksData(known, _repeats(study, again, place, position) if again else ())


def _repeats(study: Study, again: list[Vote], place: dict[int, int], position: dict[int, int]) -> tuple[RepeatRow, ...]:
    pairs = {(vote.assignment.annotator_id, vote.assignment.comparison_id) for vote in again}
    main = _standing(study).filter(
        assignment__kind=Assignment.Kind.MAIN,
        assignment__annotator__in={annotator for annotator, _comparison in pairs},
        assignment__comparison__in={comparison for _annotator, comparison in pairs},
    )
    first = {(vote.assignment.annotator_id, vote.assignment.comparison_id): vote for vote in _with_assignment(main)}
    return tuple(
        RepeatRow(
            place[vote.assignment.annotator_id], _outcome(first[key], vote), position[vote.assignment.comparison_id]
        )
        for vote in again
        if (key := (vote.assignment.annotator_id, vote.assignment.comparison_id)) in first
    )


def _outcome(first: Vote, again: Vote) -> str:
    if Vote.Choice.TIE in (first.choice, again.choice):
        return SAME if first.choice == again.choice else UNDECIDED
    return SAME if first.chosen_model == again.chosen_model else OTHER


def _standing(study: Study) -> QuerySet[Vote]:
    return Vote.objects.filter(assignment__comparison__study=study, state=Vote.State.STANDING)


def _with_assignment(votes: QuerySet[Vote]) -> QuerySet[Vote]:
    return votes.select_related("assignment").defer("assignment__left_images", "assignment__right_images")
