"""Import votes that were cast elsewhere: all of a file or nothing. Importing the same file again changes nothing."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.models import Annotator, Assignment, Comparison, Import, Study, Vote
from annotation.models.annotator import BY_FILE
from annotation.voting.availability import refuse_half_made
from annotation.voting.imports import import_runs
from annotation.voting.imports.imported_rows import Answer, answers_of, in_order, remove_votes, store
from annotation.voting.imports.shared_votes import brought_by_others, same_file, votes_of
from annotation.voting.imports.vote_file import VoteFile, VoteFileFault, read_votes
from annotation.voting.imports.vote_line import AS_WRITTEN, FileComparison, FileVote, Names, Place, StudyWords
from annotation.voting.rules import VotingRules
from annotation.voting.storage.slices import SMALL_ROWS, in_slices
from generation.tables.columns import plain
from generation.tables.reading import file_sha256
from jobs.refusals import Refused

IDS_PER_STATEMENT = 1000
MOST_NAMES_SHOWN = 5
Meaning = tuple[uuid.UUID, str, str, bool, str]  # vote id, choice, model on the left, are_sides_known, state
TAKES_VOTES = (Study.State.READY, Study.State.OPEN, Study.State.PAUSED)


@dataclass(frozen=True, slots=True)
class VoteImport:
    """The result of an import. unchanged_count: votes that were stored already. unused: columns.

    repeated: lines that repeat an earlier one. nameless: lines that were left out because they name no annotator.
    """

    new_count: int
    unchanged_count: int
    new_annotator_count: int
    unused: tuple[str, ...] = ()
    repeated: tuple[int, ...] = ()
    nameless: tuple[int, ...] = ()


def import_votes(
    *,
    study: Study,
    path: Path,
    rules: VotingRules,
    now: datetime,
    names: Names = AS_WRITTEN,
    actor: User | None = None,
) -> VoteImport:
    """Store the votes of a file (see `vote_file`) as votes of imported annotators, in slices (see `import_runs`).

    An external study makes room for every vote; a live one takes no more than its overlap. Raises
    `VoteFileFault` with every fault by its line, also if annotators have names that the study has from another file,
    and `Refused` if the study takes no votes from files.
    """
    refuse_half_made(study)
    study.refresh_from_db()
    _refuse_state(study)
    sha256 = file_sha256(path)
    file = read_votes(path, _words(study, rules), names)
    source = import_runs.begin(study=study, kind=Import.Kind.VOTES, path=path, sha256=sha256, actor=actor)
    with import_runs.removed_if_refused(source, remove_votes):
        return _import(source, path, file, names, now)


def _words(study: Study, rules: VotingRules) -> StudyWords:
    names = {key: plain(model.name) for key, model in study.model_by_key.items()}
    comparisons: dict[str, list[FileComparison]] = defaultdict(list)
    rows = Comparison.objects.filter(study=study).order_by("position")
    for prompt, pk, a, b in rows.values_list("prompt__text", "pk", "model_a", "model_b"):
        comparisons[plain(prompt)].append(FileComparison(pk, names[a], names[b]))
    return StudyWords(
        slug=study.slug,
        comparisons=comparisons,
        models=tuple(names.values()),
        are_ties_allowed=rules.are_ties_allowed,
    )


def _refuse_state(study: Study) -> None:
    if study.source == Study.Source.EXTERNAL or study.state in TAKES_VOTES:
        return
    if study.is_over:
        raise Refused(f"{study} is closed and its report is unsealed, so it takes no more votes.")
    raise Refused(f"{study} is not ready for votes yet; launch it and wait until every set is there.")


def _import(source: Import, path: Path, file: VoteFile, names: Names, now: datetime) -> VoteImport:
    new = _new_votes(source.study, path, file.votes, names)
    new = in_order(new, imported_at=source.created_at, taken=_orders_here(source.study))
    if file.is_export:  # pseudonyms count the annotators in the order in which they came
        new.sort(key=lambda vote: (len(vote.annotator), vote.annotator))
    shared = _shared_votes(source, file.votes)
    stored = {vote.vote_id for vote in shared}
    in_slices(answers_of([*shared, *new]), partial(_store_some, source, path, now, stored), least=SMALL_ROWS)
    # Of the whole file, also if a process that was killed stored a part of it.
    count = votes_of(source).count()
    row_count = count + brought_by_others(source).count()
    if not row_count:
        import_runs.forget(source)
        return VoteImport(0, len(file.votes), 0, file.unused, file.repeated, file.nameless)
    theirs = Assignment.objects.filter(annotator=OuterRef("pk"))
    annotators = _annotators(source.study).filter(
        Exists(theirs.filter(Q(imported__source=source) | Q(votes__files__source=source)))
    )
    known = annotators.filter(Exists(theirs.exclude(imported__source=source))).count()
    detail = {"votes": count, "annotators": annotators.count(), **_detail(file, names, known)}
    if row_count > count:
        detail["votes_stored_already"] = row_count - count
    import_runs.finish(source, verb="votes imported", row_count=row_count, detail=detail)
    strangers = annotators.count() - known
    return VoteImport(count, len(file.votes) - count, strangers, file.unused, file.repeated, file.nameless)


def _shared_votes(source: Import, votes: Sequence[FileVote]) -> list[FileVote]:
    """Return the votes that another file brought already, with the ids under which they are stored."""
    here = Vote.objects.filter(assignment__imported__source__study=source.study_id).order_by()
    stored = set(here.values_list("pk", flat=True))
    if not stored:
        return []
    stored.difference_update(same_file(source).order_by().values_list("pk", flat=True))
    both = ((vote, _renamed(vote, source.study)) for vote in votes)
    return [
        next(one for one in pair if one.vote_id in stored)
        for pair in both
        if any(one.vote_id in stored for one in pair)
    ]


def _detail(file: VoteFile, names: Names, known: int) -> dict[str, object]:
    """Return the details of a file for the study's history, without empty ones."""
    detail: dict[str, object] = {}
    if known:
        detail["annotators_known_from_another_file"] = known
    if names.prefix:
        detail["prefix_of_their_names"] = names.prefix
    if file.repeated:
        detail["rows_repeated_and_counted_once"] = len(file.repeated)
    if file.nameless:
        detail["votes_without_a_name_left_out"] = len(file.nameless)
    return detail


def _new_votes(study: Study, path: Path, votes: Sequence[FileVote], names: Names) -> list[FileVote]:
    """The votes that are not stored yet, each with an id that is free.

    Raises VoteFileFault for votes that contradict stored ones, for votes that a live study has no slot for, and for
    annotators who may not be those whom the study has under the same names.
    """
    here = _votes_here(study)
    new, faults = [], []
    for vote in votes:
        others = here.get(vote.place, set())
        if _meaning(vote) not in others and _meaning(_renamed(vote, study)) not in others:
            new.append(vote)
            if others and vote.state != Vote.State.SUPERSEDED and any(state != "superseded" for *_, state in others):
                faults.append((vote.line, f"{vote.annotator} has another vote on this prompt in the study already"))
    new, foreign = _with_free_ids(study, new)
    faults += foreign + _other_kinds(study, new)
    if study.source != Study.Source.EXTERNAL:
        rooms = Comparison.objects.filter(study=study).values_list("pk", "overlap", "slot_count")
        faults += beyond_overlap(new, {pk: overlap - held for pk, overlap, held in rooms})
    advice = "" if names.are_known else _same_names(study, here, votes, new)
    if faults or advice:
        raise VoteFileFault(path, faults, advice)
    return new


def _other_kinds(study: Study, new: Sequence[FileVote]) -> list[tuple[int, str]]:
    """Annotators who are simulated here and not in the file, or the other way round, as faults by their first line."""
    kinds = dict(_annotators(study).values_list("label", "kind"))
    first = {vote.annotator: vote for vote in reversed(new)}
    return [
        (vote.line, f"{vote.annotator} is simulated in this file or in the study, but not in both")
        for vote in first.values()
        if kinds.get(vote.annotator, BY_FILE[vote.is_simulated]) != BY_FILE[vote.is_simulated]
    ]


def _same_names(
    study: Study, here: Mapping[Place, set[Meaning]], votes: Sequence[FileVote], new: Sequence[FileVote]
) -> str:
    """A sentence on annotators with new votes whose names the study has from another file; empty if there are none.

    P001 of two exports are two people. A file that repeats every earlier vote of a name continues the earlier file.
    """
    apart = dict(here)
    for vote in votes:
        if vote.place in apart:
            apart[vote.place] = apart[vote.place] - {_meaning(vote), _meaning(_renamed(vote, study))}
    names = {annotator for (annotator, *_), left in apart.items() if left}
    same = sorted(names.intersection(vote.annotator for vote in new))
    if not same:
        return ""
    shown = ", ".join(same[:MOST_NAMES_SHOWN]) + (", ..." if len(same) > MOST_NAMES_SHOWN else "")
    count = len({vote.annotator for vote in votes})
    return (
        f"Annotators' names that {study} has from another file already: {len(same)} of {count} ({shown}). If these are "
        "other people, keep them apart with --prefix TEXT, which is put before each name; if they are the same people, "
        "say so with --same-people."
    )


def _meaning(vote: FileVote) -> Meaning:
    return vote.vote_id, vote.choice, vote.left_model, vote.are_sides_known, vote.state


def _renamed(vote: FileVote, study: Study) -> FileVote:
    """The vote with the id that it gets if the study it was exported from is in this database too."""
    return vote._replace(vote_id=uuid.uuid5(uuid.NAMESPACE_URL, f"{study.slug}\n{vote.vote_id}"))


def _annotators(study: Study) -> QuerySet[Annotator]:
    """The annotators that a file may name, imported or simulated."""
    return Annotator.objects.filter(study=study, kind__in=BY_FILE)


def _votes_here(study: Study) -> dict[Place, set[Meaning]]:
    """The votes of imported annotators that are stored already, by assignment."""
    rows = Vote.objects.filter(assignment__imported__source__study=study).values_list(
        "assignment__annotator__label",
        "assignment__comparison_id",
        "assignment__kind",
        "assignment__occurrence",
        "pk",
        "choice",
        "assignment__left_model",
        "assignment__are_sides_known",
        "state",
    )
    here: dict[Place, set[Meaning]] = {}
    for label, comparison_id, kind, occurrence, *said in rows.iterator():
        meaning = cast("Meaning", tuple(said))
        here.setdefault((label, comparison_id, kind, occurrence), set()).add(meaning)
    return here


def _orders_here(study: Study) -> set[datetime]:
    """The times that order the votes of earlier files."""
    votes = Vote.objects.filter(assignment__imported__source__study=study, ordered_at__isnull=False)
    return {time for time in votes.order_by().values_list("ordered_at", flat=True) if time is not None}


def _with_free_ids(study: Study, new: Sequence[FileVote]) -> tuple[list[FileVote], list[tuple[int, str]]]:
    """Return the votes, with new ids if another study has theirs; votes whose id this study has are faults."""
    taken = _studies_of([vote.vote_id for vote in new])
    renamed = {vote.vote_id: _renamed(vote, study) for vote in new if taken.get(vote.vote_id, study.pk) != study.pk}
    taken |= _studies_of([vote.vote_id for vote in renamed.values()])
    free = [renamed.get(vote.vote_id, vote) for vote in new]
    faults = [
        (vote.line, "its vote_id is that of another vote here; leave the column vote_id out")
        for vote in free
        if vote.vote_id in taken
    ]
    return free, faults


def _studies_of(vote_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The studies that have votes with these ids."""
    studies: dict[uuid.UUID, int] = {}
    for ids in _chunks(vote_ids):
        studies |= dict(Vote.objects.filter(pk__in=ids).values_list("pk", "assignment__comparison__study"))
    return studies


def _chunks(ids: Sequence[uuid.UUID]) -> Iterable[Sequence[uuid.UUID]]:
    return (ids[start : start + IDS_PER_STATEMENT] for start in range(0, len(ids), IDS_PER_STATEMENT))


def beyond_overlap(new: Iterable[FileVote], free_counts: dict[int, int]) -> list[tuple[int, str]]:
    """The votes for which a live study has no slot left, as faults by line. free_counts: slots by comparison."""
    left, faults = dict(free_counts), []
    for vote in new:
        if vote.kind == Assignment.Kind.MAIN and vote.state == Vote.State.STANDING:
            left[vote.comparison_id] -= 1
            if left[vote.comparison_id] < 0:
                faults.append((vote.line, "this prompt has all the votes that the study asks for"))
    return faults


def _store_some(
    source: Import, path: Path, now: datetime, stored: Collection[uuid.UUID], answers: Sequence[Answer]
) -> None:
    study = import_runs.hold(source)
    _refuse_state(study)
    rooms = store(source, study, answers, now, stored)
    import_runs.count_rows(source, sum(map(len, answers)))
    new = (vote for answer in answers for vote in answer if vote.vote_id not in stored)
    faults = beyond_overlap(new, rooms) if rooms else []
    if faults:
        raise VoteFileFault(path, faults)
