"""Read a file of votes and validate it line by line; pure. `vote_import` stores the votes.

Three layouts: the one of the paper's annotation app (`User Name,Prompt,Selection Choice`), the long format
`annotator,prompt,choice[,left_model,shown_at,voted_at,vote_id]`, and a study's own export. A choice is a model's name,
left, right or tie. If a study compares several pairs of models on a prompt, a line names both models: in the columns
model_a and model_b, in any order, or in left_model and right_model.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from annotation.models import Assignment, Vote
from annotation.voting.imports.vote_line import AS_WRITTEN, NAMES, FileVote, Layout, Names, Place, StudyWords, read_line
from generation.tables.columns import Columns, Table
from generation.tables.reading import open_table
from jobs.refusals import Refused

REQUIRED = ("annotator", "prompt", "choice")
OPTIONAL = (*NAMES, "shown_at", "voted_at", "vote_id")
ALIASES = {
    "user_name": "annotator",  # the first two are those of the paper's annotation app
    "selection_choice": "choice",
    "model_1": "model_a",
    "model_2": "model_b",
}
# Only if all of these columns are there, they mean what a study's export means by them.
OF_AN_EXPORT = ("simulated", "kind", "known_choice", "replaced_images", "state")
FURTHER_OF_AN_EXPORT = (
    "left_seeds",
    "right_seeds",
    "rendition",
    "received_at",
    "ordered_at",
    "response_ms",
    "exclusion_reason",
)
LONG = Columns(REQUIRED, OPTIONAL, ALIASES)
EXPORT = Columns(REQUIRED, (*OPTIONAL, *OF_AN_EXPORT, *FURTHER_OF_AN_EXPORT))
MOST_FAULTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class VoteFile:
    """The votes of a file. unused: columns that were not read. repeated: lines that repeat an earlier one.
    nameless: lines without an annotator that were left out. is_export: whether it is a study's export."""

    votes: list[FileVote]
    unused: tuple[str, ...] = ()
    repeated: tuple[int, ...] = ()
    nameless: tuple[int, ...] = ()
    is_export: bool = False


class VoteFileFault(Refused):
    """A file cannot be imported; the message lists all faults with their lines. Nothing was imported."""

    def __init__(self, path: Path, faults: Iterable[tuple[int, str]], advice: str = "") -> None:
        self.faults = sorted(faults)
        shown = [f"  line {line}: {fault}" for line, fault in self.faults[:MOST_FAULTS_SHOWN]]
        if len(self.faults) > MOST_FAULTS_SHOWN:
            shown.append(f"  and {len(self.faults) - MOST_FAULTS_SHOWN} more")
        super().__init__("\n".join([f"Nothing was imported from {path}:", *shown, *([advice] if advice else [])]))


@dataclass(slots=True)
class _Reading:
    """The state of reading a file."""

    layout: Layout
    votes: list[FileVote] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    nameless: list[int] = field(default_factory=list)
    answered: dict[Place, FileVote] = field(default_factory=dict)
    shown: dict[Place, FileVote] = field(default_factory=dict)
    vote_ids: dict[uuid.UUID, FileVote] = field(default_factory=dict)
    are_simulated: dict[str, tuple[bool, int]] = field(default_factory=dict)  # whether, and in which line


def read_votes(path: Path, words: StudyWords, names: Names = AS_WRITTEN) -> VoteFile:
    """The votes of a CSV, JSON Lines or Parquet file.

    Raises `VoteFileFault` with every fault by its line: unknown prompts and choices, annotators who vote on a
    prompt twice in different ways, ties where the study has none, blank names unless they are left out, bad dates and
    ids. Raises `Refused` for a file that is no such table.
    """
    with open_table(path, LONG) as table:
        is_export = set(OF_AN_EXPORT) <= table.names
        if not is_export:
            return _read(path, table, _Reading(Layout(words, names, is_export, table.is_csv)))
    with open_table(path, EXPORT) as table:
        return _read(path, table, _Reading(Layout(words, names, is_export, table.is_csv)))


def _read(path: Path, table: Table, reading: _Reading) -> VoteFile:
    for line, row, fault in table.rows:
        if fault:
            reading.faults.append((line, fault))
        elif not row["annotator"]:
            reading.nameless.append(line)
        else:
            vote, faults = read_line(reading.layout, line, row)
            reading.faults += [(line, fault) for fault in faults]
            if not faults:
                _take(reading, vote)
    _refuse_faults(path, reading)
    if not reading.votes:
        raise Refused(f"{path} holds no votes: there are no rows to import below its first line.")
    return VoteFile(
        reading.votes,
        table.unused,
        tuple(reading.repeated),
        tuple(reading.nameless),
        is_export=reading.layout.is_export,
    )


def _refuse_faults(path: Path, reading: _Reading) -> None:
    faults, advice = reading.faults, ""
    if reading.nameless and not reading.layout.names.leaves_out_blank:
        faults = [*faults, *((line, "the annotator's name is blank") for line in reading.nameless)]
        advice = (
            "The annotator of a vote without a name is not known: fill in the names, or leave these lines out with "
            "--leave-out-blank-names, which the report then states."
        )
    if faults:
        raise VoteFileFault(path, faults, advice)


def _take(reading: _Reading, vote: FileVote) -> None:
    """Keep the vote, unless it repeats an earlier line; add a fault if it contradicts one."""
    is_simulated, line = reading.are_simulated.setdefault(vote.annotator, (vote.is_simulated, vote.line))
    if is_simulated != vote.is_simulated:
        reading.faults.append((vote.line, f"{vote.annotator} is simulated here or in line {line}, but not in both"))
        return
    if (same := reading.vote_ids.get(vote.vote_id)) is not None:
        if _content(same) == _content(vote):
            reading.repeated.append(vote.line)
        elif same.place == vote.place:
            reading.faults.append((vote.line, f"{vote.annotator} voted on this prompt in line {same.line} already"))
        else:
            reading.faults.append((vote.line, f"its vote_id is that of line {same.line}"))
        return
    vote = _placed(reading, vote)
    if fault := _contradiction(reading, vote):
        reading.faults.append((vote.line, fault))
        return
    reading.vote_ids[vote.vote_id] = vote
    reading.votes.append(vote)


def _contradiction(reading: _Reading, vote: FileVote) -> str:
    """The contradiction between the vote and an earlier line about the same assignment; empty if there is none."""
    first = reading.shown.setdefault(vote.place, vote)
    if (first.left_model, first.are_sides_known) != (vote.left_model, vote.are_sides_known):
        return f"the sides differ from line {first.line}, and {vote.annotator} saw this prompt once"
    if vote.state == Vote.State.SUPERSEDED:
        return ""
    before = reading.answered.setdefault(vote.place, vote)
    return "" if before is vote else f"{vote.annotator} voted on this prompt in line {before.line} already"


def _content(vote: FileVote) -> FileVote:
    return vote._replace(line=0, occurrence=0)


def _placed(reading: _Reading, vote: FileVote) -> FileVote:
    """The vote with its occurrence: a second check of one kind on one prompt is a further occurrence."""
    while vote.kind != Assignment.Kind.MAIN and vote.place in reading.answered:
        vote = vote._replace(occurrence=vote.occurrence + 1)
    return vote
