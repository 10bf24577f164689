"""Store and remove the rows of imported votes, a slice at a time, with the counters of their comparisons."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter, itemgetter

from annotation.models import Annotator, Assignment, Import, ImportedAssignment, Study, Vote
from annotation.models.annotator import BY_FILE
from annotation.voting import slots
from annotation.voting.imports import import_runs
from annotation.voting.imports.vote_line import FileVote, Place
from annotation.voting.storage.bulk_rows import insert_rows
from annotation.voting.storage.slices import SMALL_ROWS, in_slices

Answer = tuple[FileVote, ...]  # the votes on one assignment: first those that were undone, last the one that counts
Key = tuple[int, int, str, int]  # annotator, comparison, kind, occurrence
# Fields that have the same name in the file's votes.
_COPIED = ("left_model", "are_sides_known", "known_choice", "replaced_count", "rendition", "shown_at")
_COPIED_TO_VOTE = ("choice", "state", "shown_at", "voted_at", "response_ms", "exclusion_reason", "ordered_at")
_copied, _copied_to_vote = attrgetter(*_COPIED), attrgetter(*_COPIED_TO_VOTE)
_LATER = timedelta(microseconds=1)


def answers_of(votes: Sequence[FileVote]) -> list[Answer]:
    """The votes by assignment, in the order of the file."""
    answers: dict[Place, Answer] = {}
    for vote in votes:
        answers[vote.place] = (*answers.get(vote.place, ()), vote)
    return list(answers.values())


def store(source: Import, study: Study, answers: Sequence[Answer], now: datetime) -> dict[int, int]:
    """Store some assignments and their votes, in the transaction of a slice.

    Returns how many slots each comparison had left; nothing for an external study, whose overlap grows.
    """
    annotators = _annotators(study, answers)
    free_counts = slots.lock_free_counts({answer[0].comparison_id for answer in answers})
    firsts = {_key(answer[0], annotators): answer for answer in answers}
    known = _assignments(firsts)
    _insert_assignments({key: answer for key, answer in firsts.items() if key not in known}, now)
    known = _assignments(firsts)
    _count_images({known[key]: answer[0] for key, answer in firsts.items() if answer[0].replaced_count})
    given = [(known[key], vote) for key, answer in firsts.items() for vote in answer]
    _insert_votes(given, now)
    already = set(ImportedAssignment.objects.filter(pk__in=known.values()).values_list("pk", flat=True))
    insert_rows(
        ImportedAssignment,
        ("assignment", "left_seeds", "right_seeds"),
        [
            (known[key], answer[0].left_seeds, answer[0].right_seeds)
            for key, answer in firsts.items()
            if known[key] not in already
        ],
        {"source": source.pk},
    )
    slots.add(_tallies(answers))
    return {} if study.source == Study.Source.EXTERNAL else free_counts


def _annotators(study: Study, answers: Sequence[Answer]) -> dict[str, int]:
    """The annotators of these votes by label; those that are missing are created."""
    wanted = {answer[0].annotator: answer[0].is_simulated for answer in answers}
    known = dict(
        Annotator.objects.filter(study=study, kind__in=BY_FILE, label__in=list(wanted)).values_list("label", "pk")
    )
    strangers = [
        Annotator(study=study, kind=BY_FILE[is_simulated], label=label)
        for label, is_simulated in wanted.items()
        if label not in known
    ]
    Annotator.objects.bulk_create(strangers)
    return known | {annotator.label: annotator.pk for annotator in strangers}


def _key(vote: FileVote, annotators: dict[str, int]) -> Key:
    return annotators[vote.annotator], vote.comparison_id, vote.kind, vote.occurrence


def _assignments(wanted: Collection[Key]) -> dict[Key, int]:
    """The ids of the wanted assignments that are stored."""
    rows = Assignment.objects.filter(
        annotator__in={key[0] for key in wanted}, comparison__in={key[1] for key in wanted}
    ).order_by()
    names = ("annotator_id", "comparison_id", "kind", "occurrence", "pk")
    return {key: pk for *whose, pk in rows.values_list(*names).iterator() if (key := _as_key(whose)) in wanted}


def _as_key(whose: list[int | str]) -> Key:
    annotator, comparison, kind, occurrence = whose
    return int(annotator), int(comparison), str(kind), int(occurrence)


def _insert_assignments(answers: dict[Key, Answer], now: datetime) -> None:
    insert_rows(
        Assignment,
        ("annotator", "comparison", "kind", "occurrence", "state", "leased_at", *_COPIED),
        [(*key, _state(answer), _leased_at(answer[-1], now), *_copied(answer[-1])) for key, answer in answers.items()],
        {},
    )


def _leased_at(vote: FileVote, now: datetime) -> datetime:
    return vote.shown_at or vote.voted_at or vote.received_at or now


def _count_images(mixed: dict[int, FileVote]) -> None:
    """Store one zero for each image of a mixed set: the report counts them, and no file names them."""
    for pk, vote in mixed.items():
        left, right = ([0] * len(seeds.split(" ")) for seeds in (vote.left_seeds, vote.right_seeds))
        Assignment.objects.filter(pk=pk).update(left_images=left, right_images=right)


def _state(answer: Answer) -> str:
    states = {vote.state for vote in answer}
    if Vote.State.STANDING in states:
        return Assignment.State.VOTED
    return Assignment.State.LATE if Vote.State.LATE in states else Assignment.State.RELEASED


def _insert_votes(given: Sequence[tuple[int, FileVote]], now: datetime) -> None:
    insert_rows(
        Vote,
        ("assignment", "id", "received_at", "excluded_at", *_COPIED_TO_VOTE),
        [
            (
                assignment,
                vote.vote_id,
                received_at := vote.received_at or now,
                received_at if vote.exclusion_reason else None,
                *_copied_to_vote(vote),
            )
            for assignment, vote in given
        ],
        {},
    )


def _tallies(answers: Sequence[Answer]) -> dict[int, slots.Tally]:
    tallies: dict[int, slots.Tally] = {}
    for answer in answers:
        if answer[0].kind == Assignment.Kind.MAIN:
            tally = tallies.setdefault(answer[0].comparison_id, slots.Tally())
            tally.left_lead += 1 if answer[0].left_model == "a" else -1
            for vote in answer:
                if vote.state == Vote.State.STANDING:
                    tally.count(choice=vote.choice, left_model=vote.left_model, is_excluded=bool(vote.exclusion_reason))
    return tallies


# --- remove -------------------------------------------------------------------------------------
def remove_votes(source: Import, *, least_overlap: int | None = None) -> None:
    """Remove all votes of an import that this process works on, and its annotators who have no other votes.

    least_overlap: see `slots.add`.
    """
    rows = list(ImportedAssignment.objects.filter(source=source).values_list("pk", flat=True))
    in_slices(rows, partial(_remove_some, source, least_overlap), least=SMALL_ROWS)
    idle = Annotator.objects.filter(study=source.study_id, kind=Annotator.Kind.IMPORTED, assignments=None)
    in_slices(list(idle.values_list("pk", flat=True)), partial(_remove_annotators, source), least=SMALL_ROWS)


def _remove_some(source: Import, least_overlap: int | None, assignment_ids: Sequence[int]) -> None:
    study = import_runs.hold(source)
    rows = Assignment.objects.filter(pk__in=assignment_ids)
    simulated = set(rows.filter(annotator__kind=Annotator.Kind.SIMULATED).values_list("annotator", flat=True))
    tallies = _stored_tallies(assignment_ids)
    slots.lock_free_counts(tallies)
    Vote.objects.filter(assignment__in=assignment_ids).delete()
    rows.delete()
    slots.add(tallies, sign=-1, least_overlap=least_overlap if study.source == Study.Source.EXTERNAL else None)
    Annotator.objects.filter(pk__in=simulated, assignments=None).delete()


def _stored_tallies(assignment_ids: Sequence[int]) -> dict[int, slots.Tally]:
    tallies: dict[int, slots.Tally] = {}
    main = Assignment.objects.filter(pk__in=assignment_ids, kind=Assignment.Kind.MAIN)
    for comparison_id, left_model in main.values_list("comparison_id", "left_model"):
        tally = tallies.setdefault(comparison_id, slots.Tally())
        tally.left_lead += 1 if left_model == Assignment.Side.A else -1
    votes = Vote.objects.filter(assignment__in=main, state=Vote.State.STANDING).order_by()
    fields = ("assignment__comparison_id", "choice", "assignment__left_model", "excluded_at")
    for comparison_id, choice, left_model, excluded_at in votes.values_list(*fields):
        tallies[comparison_id].count(choice=choice, left_model=left_model, is_excluded=excluded_at is not None)
    return tallies


def _remove_annotators(source: Import, annotator_ids: Sequence[int]) -> None:
    import_runs.hold(source)
    Annotator.objects.filter(pk__in=annotator_ids, assignments=None).delete()


# --- the order in which the votes of a file were given ------------------------------------------
def in_order(votes: Sequence[FileVote], *, imported_at: datetime, taken: Collection[datetime]) -> list[FileVote]:
    """Return the votes in their order, each with the time that orders it, `ordered_at`, which no other vote has.

    An export says the order. Other files are ordered by `voted_at` if each vote has one, else by line, and their times
    then begin at `imported_at`. Votes of one moment are ordered by the annotator's name, so that the order of the lines
    does not matter; but by line if one annotator has two of them, because such a clock is too coarse to order by.
    taken: the times of votes that are stored already.
    """
    said = [vote.ordered_at or vote.received_at or vote.voted_at for vote in votes]
    times = [time for time in said if time is not None]
    names = [vote.annotator for vote in votes]
    if len(times) < len(votes):
        times, names = [imported_at] * len(votes), [""] * len(votes)
    if len(set(zip(names, times, strict=True))) < len(votes):
        names = [""] * len(votes)
    placed = sorted(zip(times, names, votes, strict=True), key=itemgetter(0, 1))  # stable: else by line
    return _apart([(time, vote) for time, _name, vote in placed], taken)


def _apart(placed: Sequence[tuple[datetime, FileVote]], taken: Collection[datetime]) -> list[FileVote]:
    """Return the votes with their times, each at the first microsecond after the one before that is not taken."""
    apart: list[FileVote] = []
    for time, vote in placed:
        before = apart[-1].ordered_at if apart else None
        time = time if before is None else max(time, before + _LATER)
        while time in taken:
            time += _LATER
        apart.append(vote._replace(ordered_at=time))
    return apart
