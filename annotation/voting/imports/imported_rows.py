"""Store and remove the rows of imported votes, a slice at a time, with the counters of their comparisons."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter, itemgetter

from django.db.models import Case, Exists, OuterRef, Value, When

from annotation.models import Annotator, Assignment, Import, ImportedAssignment, Study, Vote
from annotation.models.annotator import BY_FILE
from annotation.voting import slots
from annotation.voting.imports import import_runs, shared_votes
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
_OWN_VOTES = Vote.objects.filter(assignment=OuterRef("pk"))


def answers_of(votes: Sequence[FileVote]) -> list[Answer]:
    """The votes by assignment, in the order of the file."""
    answers: dict[Place, Answer] = {}
    for vote in votes:
        answers[vote.place] = (*answers.get(vote.place, ()), vote)
    return list(answers.values())


def store(
    source: Import, study: Study, answers: Sequence[Answer], now: datetime, stored: Collection[uuid.UUID] = ()
) -> dict[int, int]:
    """Store some assignments and their votes, in the transaction of a slice.

    stored: the ids of votes that another file brought already; they become votes of this import too.
    Returns how many slots each comparison had left; nothing for an external study, whose overlap grows.
    """
    annotators = _annotators(study, answers)
    free_counts = slots.lock_free_counts({answer[0].comparison_id for answer in answers})
    firsts = {_key(answer[0], annotators): answer for answer in answers}
    before = _assignments(firsts)
    fresh = {key: answer for key, answer in firsts.items() if key not in before}
    shared = set(ImportedAssignment.objects.filter(pk__in=before.values()).values_list("pk", flat=True))
    shared_votes.link_first(shared)
    _insert_assignments(fresh, now)
    known = _assignments(firsts)
    _count_images({known[key]: answer[0] for key, answer in fresh.items() if answer[0].replaced_count})
    given = [(known[key], vote) for key, answer in firsts.items() for vote in answer]
    _insert_votes([(pk, vote) for pk, vote in given if vote.vote_id not in stored], now)
    shared_votes.link(source, [vote.vote_id for pk, vote in given if pk in shared])
    _update_states(shared)
    insert_rows(
        ImportedAssignment,
        ("assignment", "left_seeds", "right_seeds"),
        [
            (known[key], answer[0].left_seeds, answer[0].right_seeds)
            for key, answer in firsts.items()
            if known[key] not in shared
        ],
        {"source": source.pk},
    )
    slots.add(_tallies(firsts, fresh, stored))
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


def _update_states(assignments: Collection[int]) -> None:
    """Set the state of assignments whose votes changed, by the vote that counts, as `_state` does."""
    of_one = Vote.objects.filter(assignment=OuterRef("pk"))
    stands, is_late = (Exists(of_one.filter(state=state)) for state in (Vote.State.STANDING, Vote.State.LATE))
    state = Case(
        When(stands, then=Value(Assignment.State.VOTED)),
        When(is_late, then=Value(Assignment.State.LATE)),
        default=Value(Assignment.State.RELEASED),
    )
    if assignments:
        Assignment.objects.filter(pk__in=assignments).update(state=state)


def _tallies(
    answers: Mapping[Key, Answer], fresh: Collection[Key], stored: Collection[uuid.UUID]
) -> dict[int, slots.Tally]:
    """Return what the new votes, and the new assignments, `fresh`, add to the counters of their comparisons."""
    tallies: dict[int, slots.Tally] = {}
    for key, answer in answers.items():
        if answer[0].kind == Assignment.Kind.MAIN:
            tally = tallies.setdefault(answer[0].comparison_id, slots.Tally())
            if key in fresh:
                tally.left_lead += 1 if answer[0].left_model == "a" else -1
            for vote in answer:
                if vote.state == Vote.State.STANDING and vote.vote_id not in stored:
                    tally.count(choice=vote.choice, left_model=vote.left_model, is_excluded=bool(vote.exclusion_reason))
    return tallies


# --- remove -------------------------------------------------------------------------------------
def remove_votes(source: Import, *, least_overlap: int | None = None) -> None:
    """Remove the votes of an import that this process works on, and its annotators who have no other votes.

    Votes that another import brought too stay. least_overlap: see `slots.add`.
    """
    rows = list(shared_votes.assignments_of(source).order_by("pk").values_list("pk", flat=True))
    in_slices(rows, partial(_remove_some, source, least_overlap), least=SMALL_ROWS)
    idle = Annotator.objects.filter(study=source.study_id, kind=Annotator.Kind.IMPORTED, assignments=None)
    in_slices(list(idle.values_list("pk", flat=True)), partial(_remove_annotators, source), least=SMALL_ROWS)


def _remove_some(source: Import, least_overlap: int | None, assignment_ids: Sequence[int]) -> None:
    study = import_runs.hold(source)
    rows = Assignment.objects.filter(pk__in=assignment_ids)
    votes = list(shared_votes.let_go(source, assignment_ids).values_list("pk", flat=True))
    staying = set(rows.filter(Exists(_OWN_VOTES.exclude(pk__in=votes))).values_list("pk", flat=True))
    going = set(assignment_ids) - staying
    simulated = set(rows.filter(annotator__kind=Annotator.Kind.SIMULATED).values_list("annotator", flat=True))
    tallies = _stored_tallies(going, votes)
    slots.lock_free_counts(tallies)
    Vote.objects.filter(pk__in=votes).delete()
    Assignment.objects.filter(pk__in=going).delete()
    shared_votes.hand_over(source, staying)
    _update_states(staying)
    slots.add(tallies, sign=-1, least_overlap=least_overlap if study.source == Study.Source.EXTERNAL else None)
    Annotator.objects.filter(pk__in=simulated, assignments=None).delete()


def _stored_tallies(assignment_ids: Collection[int], vote_ids: Collection[uuid.UUID]) -> dict[int, slots.Tally]:
    """Return what these assignments and votes add to the counters of their comparisons."""
    tallies: dict[int, slots.Tally] = defaultdict(slots.Tally)
    main = Assignment.objects.filter(pk__in=assignment_ids, kind=Assignment.Kind.MAIN)
    for comparison_id, left_model in main.values_list("comparison_id", "left_model"):
        tallies[comparison_id].left_lead += 1 if left_model == Assignment.Side.A else -1
    votes = Vote.objects.filter(pk__in=vote_ids, assignment__kind=Assignment.Kind.MAIN, state=Vote.State.STANDING)
    fields = ("assignment__comparison_id", "choice", "assignment__left_model", "excluded_at")
    for comparison_id, choice, left_model, excluded_at in votes.order_by().values_list(*fields):
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
