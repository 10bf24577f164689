"""Read a file of votes and validate it line by line; pure. `vote_import` stores the votes.

Three layouts: the one of the paper's annotation app (`User Name,Prompt,Selection Choice`), the long format
`annotator,prompt,choice[,left_model,shown_at,voted_at,vote_id]`, and a study's own export. A choice is a model's name,
left, right or tie.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from annotation.models import Assignment, Vote
from annotation.voting.allocation import Side
from generation.tables.columns import Columns, Table, plain
from generation.tables.formulas import APOSTROPHE, unmarked
from generation.tables.reading import open_table
from jobs.refusals import Refused
from jobs.wording import hidden_character

REQUIRED = ("annotator", "prompt", "choice")
OPTIONAL = ("left_model", "shown_at", "voted_at", "vote_id")
PAPER_COLUMNS = {"user_name": "annotator", "selection_choice": "choice"}
# Only if all of these columns are there, they mean what a study's export means by them.
OF_AN_EXPORT = ("simulated", "kind", "known_choice", "replaced_images", "state")
FURTHER_OF_AN_EXPORT = ("left_seeds", "right_seeds", "rendition", "received_at", "response_ms", "exclusion_reason")
LONG = Columns(REQUIRED, OPTIONAL, PAPER_COLUMNS)
EXPORT = Columns(REQUIRED, (*OPTIONAL, *OF_AN_EXPORT, *FURTHER_OF_AN_EXPORT))
Place = tuple[str, int, str, int]  # annotator, comparison, kind and occurrence: an assignment
LONGEST_LABEL = LONGEST_REASON = 200
# An export writes these as they are: nothing in them may need quotes, or be a formula to a spreadsheet.
_SEEDS = re.compile(r"(?:(?:[0-9]+|\*)(?: (?:[0-9]+|\*))*)?")
SHAPES = {"left_seeds": _SEEDS, "right_seeds": _SEEDS, "rendition": re.compile(r"[a-z0-9]{0,20}")}
MOST_FAULTS_SHOWN = 100
MOST_MILLISECONDS = 2**31 - 1  # what the column holds
MOST_REPLACED = 2**15 - 1
# The left model of votes that do not name it: a convention, marked by `are_sides_known=False`.
ASSUMED_LEFT: Side = "a"
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


@dataclass(frozen=True, slots=True)
class StudyWords:
    """The meaning of a file's terms in one study: the comparison of a prompt, the letter of a model's name."""

    slug: str
    comparisons: Mapping[str, int]
    models: Mapping[str, Side]
    are_ties_allowed: bool


class FileVote(NamedTuple):
    """One line of the file, in the terms of the study."""

    line: int
    annotator: str
    comparison_id: int
    choice: str  # left, right or tie
    left_model: Side
    are_sides_known: bool
    shown_at: datetime | None
    voted_at: datetime | None
    vote_id: uuid.UUID
    is_simulated: bool = False
    kind: str = Assignment.Kind.MAIN.value
    occurrence: int = 0
    known_choice: str = ""
    replaced_count: int = 0
    left_seeds: str = ""
    right_seeds: str = ""
    rendition: str = ""
    received_at: datetime | None = None
    response_ms: int | None = None
    state: str = Vote.State.STANDING.value
    exclusion_reason: str = ""

    @property
    def place(self) -> Place:
        """The assignment that the vote answers."""
        return self.annotator, self.comparison_id, self.kind, self.occurrence


@dataclass(frozen=True, slots=True)
class Names:
    """How the annotators' names in a file are read.

    leaves_out_blank: votes without a name are left out, and not refused. prefix: stands before each name.
    are_known: a name that the study has from another file is the same person.
    """

    leaves_out_blank: bool = False
    prefix: str = ""
    are_known: bool = False


AS_WRITTEN = Names()


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

    words: StudyWords
    names: Names
    is_export: bool
    has_apostrophes: bool
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
            return _read(path, table, _Reading(words, names, is_export, table.is_csv))
    with open_table(path, EXPORT) as table:
        return _read(path, table, _Reading(words, names, is_export, table.is_csv))


def _read(path: Path, table: Table, reading: _Reading) -> VoteFile:
    for line, row, fault in table.rows:
        if fault:
            reading.faults.append((line, fault))
        elif not row["annotator"]:
            reading.nameless.append(line)
        else:
            _read_row(reading, line, row)
    _refuse_faults(path, reading)
    if not reading.votes:
        raise Refused(f"{path} holds no votes: there are no rows to import below its first line.")
    return VoteFile(
        reading.votes, table.unused, tuple(reading.repeated), tuple(reading.nameless), is_export=reading.is_export
    )


def _refuse_faults(path: Path, reading: _Reading) -> None:
    faults, advice = reading.faults, ""
    if reading.nameless and not reading.names.leaves_out_blank:
        faults = [*faults, *((line, "the annotator's name is blank") for line in reading.nameless)]
        advice = (
            "The annotator of a vote without a name is not known: fill in the names, or leave these lines out with "
            "--leave-out-blank-names, which the report then states."
        )
    if faults:
        raise VoteFileFault(path, faults, advice)


def _read_row(reading: _Reading, line: int, row: dict[str, str]) -> None:
    faults: list[str] = []
    annotator = plain(reading.names.prefix + _unmarked(reading, row["annotator"], ()))
    if len(annotator) > LONGEST_LABEL:
        faults.append(f"annotator must have 1 to {LONGEST_LABEL} characters")
    if hidden := hidden_character(annotator):
        faults.append(f"the annotator's name holds a character that is not seen ({hidden}); take it out")
    prompt = _unmarked(reading, row["prompt"], reading.words.comparisons)
    comparison_id = reading.words.comparisons.get(prompt, 0)
    if not comparison_id:
        faults.append(f'"{prompt[:300]}" is not a prompt of this study')
    replaced = _number("replaced_images", row.get("replaced_images", ""), MOST_REPLACED, faults) or 0
    choice, left_model = _choice(reading, row, replaced > 0, faults)
    vote = FileVote(
        line=line,
        annotator=annotator,
        comparison_id=comparison_id,
        choice=choice,
        left_model=left_model or ASSUMED_LEFT,
        are_sides_known=left_model is not None or replaced > 0,
        shown_at=_time("shown_at", row.get("shown_at", ""), faults),
        voted_at=_time("voted_at", row.get("voted_at", ""), faults),
        vote_id=_vote_id(reading, row, faults),
        replaced_count=replaced,
    )
    vote = _with_export(reading, vote, row, faults) if reading.is_export else _timed(vote)
    if faults:
        reading.faults += [(line, fault) for fault in faults]
    else:
        _take(reading, vote)


def _unmarked(reading: _Reading, text: str, known: Iterable[str]) -> str:
    """The text without the apostrophe that our CSV files put before text that looks like a spreadsheet's formula."""
    if not (reading.has_apostrophes and text.startswith(APOSTROPHE)):
        return text
    candidates = (unmarked(text), text) if reading.is_export else (text, unmarked(text))
    return next((candidate for candidate in candidates if candidate in known), candidates[0])


def _timed(vote: FileVote) -> FileVote:
    """The vote with its response time, if the file gives both times in the right order."""
    if vote.shown_at is None or vote.voted_at is None or vote.voted_at < vote.shown_at:
        return vote
    milliseconds = round((vote.voted_at - vote.shown_at).total_seconds() * 1000)
    return vote._replace(response_ms=min(milliseconds, MOST_MILLISECONDS))


def _with_export(reading: _Reading, vote: FileVote, row: dict[str, str], faults: list[str]) -> FileVote:
    """The vote with the values that only an export has."""
    for name, shape in SHAPES.items():
        if not shape.fullmatch(row.get(name, "")):
            faults.append(f'{name} is "{row[name][:100]}", which no export holds')
    reason = _unmarked(reading, row.get("exclusion_reason", ""), ())
    if len(reason) > LONGEST_REASON:
        faults.append(f"exclusion_reason has more than {LONGEST_REASON} characters")
    simulated = _YES_NO.get(row["simulated"].lower())
    if simulated is None:
        faults.append(f'simulated is "{row["simulated"]}", and must be true or false')
    return vote._replace(
        is_simulated=bool(simulated),
        kind=_one_of("kind", row["kind"], Assignment.Kind.values, faults),
        known_choice=_one_of("known_choice", row["known_choice"], ["", *Vote.Choice.values], faults),
        state=_one_of("state", row["state"], Vote.State.values, faults),
        left_seeds=row.get("left_seeds", ""),
        right_seeds=row.get("right_seeds", ""),
        rendition=row.get("rendition", ""),
        received_at=_time("received_at", row.get("received_at", ""), faults),
        response_ms=_number("response_ms", row.get("response_ms", ""), MOST_MILLISECONDS, faults),
        exclusion_reason=reason,
    )


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


def _choice(
    reading: _Reading, row: dict[str, str], is_of_one_model: bool, faults: list[str]
) -> tuple[str, Side | None]:
    """(left, right or tie; the model on the left, or None if the line does not name it)."""
    words = reading.words
    said, left = (_unmarked(reading, row.get(name, ""), words.models) for name in ("choice", "left_model"))
    left_model = words.models.get(left)
    if left and left_model is None:
        faults.append(f'left_model "{left}" is not a model of this study ({", ".join(words.models)})')
    if said in words.models:
        return "left" if words.models[said] == (left_model or ASSUMED_LEFT) else "right", left_model
    text, said = said, said.lower()
    if said not in Vote.Choice.values:
        faults.append(f'"{text}" is no choice: it must be {", ".join(words.models)}, left, right or tie')
    elif said == "tie" and not words.are_ties_allowed:
        faults.append("a tie, and this study has no ties")
    elif said != "tie" and not left and not is_of_one_model:
        faults.append(
            f"{said} needs left_model: name the model that was on the left"
            + ("; an export made after the study has closed names it" if reading.is_export else "")
        )
    return said, left_model


def _one_of(name: str, text: str, known: Iterable[str], faults: list[str]) -> str:
    if text.lower() not in known:
        faults.append(f'{name} is "{text}", and must be one of {", ".join(filter(None, known))}')
    return text.lower()


def _number(name: str, text: str, most: int, faults: list[str]) -> int | None:
    if not text:
        return None
    digits = text.removesuffix(".0")  # how pandas writes a whole number beside empty cells
    if digits.isascii() and digits.isdigit() and len(digits) <= 10 and int(digits) <= most:
        return int(digits)
    faults.append(f'{name} is "{text}", and must be a whole number from 0 to {most}')
    return None


def _time(name: str, text: str, faults: list[str]) -> datetime | None:
    """The ISO 8601 time; without an offset it is UTC."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        faults.append(f'{name} "{text}" is not a date and time such as 2026-03-01T12:00:00Z')
        return None


def _vote_id(reading: _Reading, row: dict[str, str], faults: list[str]) -> uuid.UUID:
    """The line's vote_id, else an id made from the line, so that importing it again changes nothing."""
    try:
        if given := row.get("vote_id", ""):
            if not given.isascii() or "_" in given:  # UUID() also accepts the digits of other scripts, and "1_2"
                raise ValueError(given)
            return uuid.UUID(given)
    except ValueError:
        faults.append(f'vote_id "{given}" is not a UUID')
    told_apart = [row.get(name, "") for name in ("kind", "received_at")] if reading.is_export else []
    annotator = reading.names.prefix + row["annotator"]
    return uuid.uuid5(uuid.NAMESPACE_URL, "\n".join((reading.words.slug, annotator, row["prompt"], *told_apart)))
