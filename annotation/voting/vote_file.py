"""A file of votes, read and checked line by line; pure. `vote_import.py` stores what it says.

Two layouts: the one of the paper's annotation app (`User Name,Prompt,Selection Choice`), and the long format
`annotator,prompt,choice[,left_model,shown_at,voted_at,vote_id]`. A choice is a model's name, left, right or tie.
"""

import csv
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from annotation.voting.allocation import Side
from generation.refusals import Refused

REQUIRED = ("annotator", "prompt", "choice")
OPTIONAL = ("left_model", "shown_at", "voted_at", "vote_id")
PAPER_COLUMNS = {"User Name": "annotator", "Prompt": "prompt", "Selection Choice": "choice"}
LONGEST_LABEL = 200
MOST_FAULTS_SHOWN = 100
# Sides of votes that do not say: a convention, marked by `are_sides_known=False`.
ASSUMED_LEFT: Side = "a"


@dataclass(frozen=True, slots=True)
class StudyWords:
    """What the words of a file mean in one study: prompts to comparison ids, models' names to their letters."""

    slug: str
    comparisons: Mapping[str, int]
    models: Mapping[str, Side]
    are_ties_allowed: bool


class FileVote(NamedTuple):
    """One line of the file as the study understands it."""

    line: int
    annotator: str
    comparison_id: int
    choice: str  # left, right or tie
    left_model: Side
    are_sides_known: bool
    shown_at: datetime | None
    voted_at: datetime | None
    vote_id: uuid.UUID


class VoteFileFault(Refused):
    """A file that cannot be imported: every fault with its line, and nothing was imported."""

    def __init__(self, path: Path, faults: Iterable[tuple[int, str]]) -> None:
        self.faults = sorted(faults)
        shown = [f"  line {line}: {fault}" for line, fault in self.faults[:MOST_FAULTS_SHOWN]]
        if len(self.faults) > MOST_FAULTS_SHOWN:
            shown.append(f"  and {len(self.faults) - MOST_FAULTS_SHOWN} more")
        super().__init__("\n".join([f"Nothing was imported from {path}:", *shown]))


@dataclass(slots=True)
class _Reading:
    """A file read so far."""

    words: StudyWords
    votes: list[FileVote] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    lines: dict[tuple[str, int], int] = field(default_factory=dict)
    vote_ids: dict[uuid.UUID, int] = field(default_factory=dict)


def plain(text: str) -> str:
    """One spelling of a name or prompt: composed letters, no blanks at its ends."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def read_votes(path: Path, words: StudyWords) -> list[FileVote]:
    """The votes of a CSV file.

    Raises `VoteFileFault` with every fault by its line: unknown prompts and choices, annotators who vote on a
    prompt twice, ties where the study has none, bad dates and ids. Raises `Refused` for a file that is no such CSV.
    """
    reading = _Reading(words)
    for line, row in _rows(path):
        _read_row(reading, line, row)
    if reading.faults:
        raise VoteFileFault(path, reading.faults)
    if not reading.votes:
        raise Refused(f"{path} holds no votes: below its first line there is nothing.")
    return reading.votes


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) with our names for the columns; lines count from 1, blank lines are left out."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            header = _header(path, next(reader, []))
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    row = dict.fromkeys(OPTIONAL, "") | dict(zip(header, map(plain, cells), strict=False))
                    yield line, row if len(cells) == len(header) else {}
                line = reader.line_num + 1
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Refused(f"{path} is not a UTF-8 text: save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise Refused(f"{path} line {line} is not CSV: {error}.") from None


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [PAPER_COLUMNS.get(cell.strip(), cell.strip()) for cell in cells]
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    if unknown or set(REQUIRED) - set(header) or len(set(header)) < len(header):
        raise Refused(
            f"{path} line 1 must name the columns {','.join(REQUIRED)} and any of {','.join(OPTIONAL)}, each once "
            f"(or {','.join(PAPER_COLUMNS)}), and it is: {','.join(cells) or 'empty'}."
        )
    return header


def _read_row(reading: _Reading, line: int, row: dict[str, str]) -> None:
    if not row:
        reading.faults.append((line, "it has another number of columns than the first line"))
        return
    faults: list[str] = []
    if not row["annotator"] or len(row["annotator"]) > LONGEST_LABEL:
        faults.append(f"annotator must have 1 to {LONGEST_LABEL} characters")
    comparison_id = reading.words.comparisons.get(row["prompt"], 0)
    if not comparison_id:
        faults.append(f'"{row["prompt"]}" is not a prompt of this study')
    choice, left_model = _choice(reading.words, row, faults)
    vote = FileVote(
        line=line,
        annotator=row["annotator"],
        comparison_id=comparison_id,
        choice=choice,
        left_model=left_model or ASSUMED_LEFT,
        are_sides_known=left_model is not None,
        shown_at=_time("shown_at", row["shown_at"], faults),
        voted_at=_time("voted_at", row["voted_at"], faults),
        vote_id=_vote_id(reading.words, row, faults),
    )
    reading.faults += [(line, fault) for fault in faults or _repeats(reading, vote)]
    reading.votes.append(vote)


def _repeats(reading: _Reading, vote: FileVote) -> list[str]:
    """What an earlier line said already."""
    before = reading.lines.setdefault((vote.annotator, vote.comparison_id), vote.line)
    if before != vote.line:
        return [f"{vote.annotator} voted on this prompt in line {before} already"]
    before = reading.vote_ids.setdefault(vote.vote_id, vote.line)
    return [] if before == vote.line else [f"its vote_id is that of line {before}"]


def _choice(words: StudyWords, row: dict[str, str], faults: list[str]) -> tuple[str, Side | None]:
    """(left, right or tie; the model on the left, None where the line does not say)."""
    said, left = row["choice"], row["left_model"]
    left_model = words.models.get(left)
    if left and left_model is None:
        faults.append(f'left_model "{left}" is not a model of this study ({", ".join(words.models)})')
    if said in words.models:
        return "left" if words.models[said] == (left_model or ASSUMED_LEFT) else "right", left_model
    if said not in ("left", "right", "tie"):
        faults.append(f'"{said}" is no choice: it must be {", ".join(words.models)}, left, right or tie')
    elif said == "tie" and not words.are_ties_allowed:
        faults.append("a tie, and this study has no ties")
    elif said != "tie" and not left:
        faults.append(f"{said} says nothing without left_model: name the model that stood on the left")
    return said, left_model


def _time(name: str, text: str, faults: list[str]) -> datetime | None:
    """An ISO 8601 time; one without an offset is UTC."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        faults.append(f'{name} "{text}" is not a date and time such as 2026-03-01T12:00:00Z')
        return None


def _vote_id(words: StudyWords, row: dict[str, str], faults: list[str]) -> uuid.UUID:
    """The line's own id; else one that the same annotator and prompt get again, so that a rerun changes nothing."""
    try:
        if row["vote_id"]:
            return uuid.UUID(row["vote_id"])
    except ValueError:
        faults.append(f'vote_id "{row["vote_id"]}" is not a UUID')
    return uuid.uuid5(uuid.NAMESPACE_URL, "\n".join((words.slug, row["annotator"], row["prompt"])))
