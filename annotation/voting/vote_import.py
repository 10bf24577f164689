"""Bring in votes that were cast elsewhere: all of a file or none of it, and the same file again changes nothing."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.voting import slots
from annotation.voting.bulk_rows import insert_rows
from annotation.voting.opening import refuse_half_made
from annotation.voting.rules import VotingRules
from annotation.voting.vote_file import FileVote, StudyWords, VoteFileFault, plain, read_votes
from generation.refusals import Refused

ROWS_PER_STATEMENT = 1000
MOST_MILLISECONDS = 2**31 - 1  # what the column holds
TAKES_VOTES = (Study.State.READY, Study.State.OPEN, Study.State.PAUSED)


@dataclass(frozen=True, slots=True)
class VoteImport:
    """What an import did: votes that are new, votes that stood already, annotators that are new."""

    new_count: int
    unchanged_count: int
    new_annotator_count: int


def import_votes(*, study: Study, path: Path, rules: VotingRules, now: datetime) -> VoteImport:
    """Store the votes of a CSV file (see `vote_file`) as standing votes of imported annotators.

    An external study makes room for every vote; a live one takes no more than its overlap. Raises
    `VoteFileFault` with every fault by its line, and `Refused` where the study takes no votes from files.
    """
    refuse_half_made(study)
    votes = read_votes(path, _words(study, rules))
    with transaction.atomic():
        # One import of a study at a time; the second finds what the first stored.
        study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
        _refuse_state(study)
        return _store(study, path, votes, now)


def _words(study: Study, rules: VotingRules) -> StudyWords:
    comparisons = Comparison.objects.filter(study=study).values_list("prompt__text", "pk")
    return StudyWords(
        slug=study.slug,
        comparisons={plain(prompt): pk for prompt, pk in comparisons},
        models={plain(study.model_a.name): "a", plain(study.model_b.name): "b"},
        are_ties_allowed=rules.are_ties_allowed,
    )


def _refuse_state(study: Study) -> None:
    if study.source == Study.Source.EXTERNAL or study.state in TAKES_VOTES:
        return
    if study.is_over:
        raise Refused(f"{study} is closed and its report is open to see, so it takes no more votes.")
    raise Refused(f"{study} is not ready for votes yet; launch it and wait until every set is there.")


def _store(study: Study, path: Path, votes: Sequence[FileVote], now: datetime) -> VoteImport:
    standing = _standing(study)
    new = [vote for vote in votes if (vote.annotator, vote.comparison_id) not in standing]
    faults = [
        (vote.line, f"{vote.annotator} has another vote on this prompt in the study already")
        for vote in votes
        if standing.get((vote.annotator, vote.comparison_id), _meaning(vote)) != _meaning(vote)
    ]
    rooms = slots.lock_all(study)
    faults += _foreign_ids(new)
    if study.source != Study.Source.EXTERNAL:
        faults += _beyond_overlap(new, rooms)
    if faults:
        raise VoteFileFault(path, faults)
    labels = dict.fromkeys(vote.annotator for vote in new)
    annotators = dict(_imported(study).values_list("label", "pk"))
    strangers = [Annotator(study=study, kind=Annotator.Kind.IMPORTED, label=label) for label in labels]
    strangers = [annotator for annotator in strangers if annotator.label not in annotators]
    Annotator.objects.bulk_create(strangers, batch_size=ROWS_PER_STATEMENT)
    annotators |= {annotator.label: annotator.pk for annotator in strangers}
    _insert(new, annotators, now)
    slots.add_votes(Counter(vote.comparison_id for vote in new))
    return VoteImport(len(new), len(votes) - len(new), len(strangers))


Meaning = tuple[UUID, str, str, bool]


def _meaning(vote: FileVote) -> Meaning:
    return vote.vote_id, vote.choice, vote.left_model, vote.are_sides_known


def _imported(study: Study) -> QuerySet[Annotator]:
    return Annotator.objects.filter(study=study, kind=Annotator.Kind.IMPORTED)


def _standing(study: Study) -> dict[tuple[str, int], Meaning]:
    """What imported annotators said before, by label and comparison."""
    rows = Vote.objects.filter(assignment__annotator__in=_imported(study), state=Vote.State.STANDING).values_list(
        "assignment__annotator__label",
        "assignment__comparison_id",
        "pk",
        "choice",
        "assignment__left_model",
        "assignment__are_sides_known",
    )
    return {
        (label, comparison_id): (vote_id, choice, left_model, are_sides_known)
        for label, comparison_id, vote_id, choice, left_model, are_sides_known in rows.iterator()
    }


def _foreign_ids(new: Sequence[FileVote]) -> list[tuple[int, str]]:
    """Votes whose id another vote of this database has."""
    lines = {vote.vote_id: vote.line for vote in new}
    ids = list(lines)
    taken: list[UUID] = []
    for start in range(0, len(ids), ROWS_PER_STATEMENT):
        taken += Vote.objects.filter(pk__in=ids[start : start + ROWS_PER_STATEMENT]).values_list("pk", flat=True)
    return [(lines[pk], "its vote_id is that of another vote here; leave the column vote_id out") for pk in taken]


def _beyond_overlap(new: Sequence[FileVote], rooms: dict[int, int]) -> list[tuple[int, str]]:
    """Votes for which a live study has no slot left."""
    left, faults = dict(rooms), []
    for vote in new:
        left[vote.comparison_id] -= 1
        if left[vote.comparison_id] < 0:
            faults.append((vote.line, "this prompt has all the votes that the study asks for"))
    return faults


def _insert(new: Sequence[FileVote], annotators: dict[str, int], now: datetime) -> None:
    insert_rows(
        Assignment,
        ("comparison", "annotator", "left_model", "are_sides_known", "leased_at", "shown_at"),
        [
            (
                vote.comparison_id,
                annotators[vote.annotator],
                vote.left_model,
                vote.are_sides_known,
                vote.shown_at or vote.voted_at or now,
                vote.shown_at,
            )
            for vote in new
        ],
        {"state": Assignment.State.VOTED},
    )
    assignments = _assignments({annotators[vote.annotator] for vote in new})
    insert_rows(
        Vote,
        ("id", "assignment", "choice", "shown_at", "voted_at", "response_ms"),
        [
            (
                vote.vote_id,
                assignments[annotators[vote.annotator], vote.comparison_id],
                vote.choice,
                vote.shown_at,
                vote.voted_at,
                _milliseconds(vote),
            )
            for vote in new
        ],
        {"received_at": now},
    )


def _assignments(annotators: Collection[int]) -> dict[tuple[int, int], int]:
    """The assignments of imported annotators, by annotator and comparison."""
    known, found = sorted(annotators), {}
    for start in range(0, len(known), ROWS_PER_STATEMENT):
        rows = Assignment.objects.filter(annotator__in=known[start : start + ROWS_PER_STATEMENT]).order_by()
        for annotator, comparison, pk in rows.values_list("annotator_id", "comparison_id", "pk").iterator():
            found[annotator, comparison] = pk
    return found


def _milliseconds(vote: FileVote) -> int | None:
    """From shown to voted, where the file gives both and in this order."""
    if vote.shown_at is None or vote.voted_at is None or vote.voted_at < vote.shown_at:
        return None
    return min(round((vote.voted_at - vote.shown_at).total_seconds() * 1000), MOST_MILLISECONDS)
