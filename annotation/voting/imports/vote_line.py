"""Read one line of a file of votes: its cells in the terms of the study, or what is wrong with them; pure."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from annotation.models import Assignment, Vote
from annotation.voting.allocation import Side
from generation.tables.columns import plain
from generation.tables.formulas import APOSTROPHE, unmarked
from jobs.wording import hidden_character, quoted

Place = tuple[str, int, str, int]  # annotator, comparison, kind and occurrence: an assignment
LONGEST_LABEL = LONGEST_REASON = 200
# An export writes these as they are: nothing in them may need quotes, or be a formula to a spreadsheet.
_SEEDS = re.compile(r"(?:(?:[0-9]+|\*)(?: (?:[0-9]+|\*))*)?")
SHAPES = {"left_seeds": _SEEDS, "right_seeds": _SEEDS, "rendition": re.compile(r"[a-z0-9]{0,20}")}
NAMES = ("left_model", "right_model", "model_a", "model_b")  # the columns that name a model
MOST_MILLISECONDS = 2**31 - 1  # what the column holds
MOST_REPLACED = 2**15 - 1
# The left model of votes that do not name it: a convention, marked by `are_sides_known=False`.
ASSUMED_LEFT: Side = "a"
_ORDERS = timedelta(days=1)  # the last day of the calendar has no room for times made different in their order
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


class FileComparison(NamedTuple):
    """A comparison of the study: its id, and the names of the models on its two sides."""

    pk: int
    model_a: str
    model_b: str

    @property
    def sides(self) -> dict[str, Side]:
        """The side of each model, by its name."""
        return {self.model_a: "a", self.model_b: "b"}


@dataclass(frozen=True, slots=True)
class StudyWords:
    """The meaning of a file's terms in one study: the comparisons of a prompt, the models' names."""

    slug: str
    comparisons: Mapping[str, Sequence[FileComparison]]
    models: tuple[str, ...]
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
    ordered_at: datetime | None = None

    @property
    def place(self) -> Place:
        """The assignment that the vote answers."""
        return self.annotator, self.comparison_id, self.kind, self.occurrence


@dataclass(frozen=True, slots=True)
class Names:
    """The rules by which the annotators' names in a file are read.

    leaves_out_blank: votes without a name are left out, and not refused. prefix: stands before each name.
    are_known: a name that the study has from another file is the same person.
    """

    leaves_out_blank: bool = False
    prefix: str = ""
    are_known: bool = False


AS_WRITTEN = Names()


@dataclass(frozen=True, slots=True)
class Layout:
    """The rules for reading the cells of a file. has_apostrophes: text like a formula has an apostrophe before it."""

    words: StudyWords
    names: Names
    is_export: bool
    has_apostrophes: bool


def read_line(layout: Layout, line: int, row: dict[str, str]) -> tuple[FileVote, list[str]]:
    """The vote of the line, and its faults; with faults the vote means nothing."""
    faults: list[str] = []
    annotator = plain(layout.names.prefix + _unmarked(layout, row["annotator"], ()))
    if len(annotator) > LONGEST_LABEL:
        faults.append(f"annotator must have 1 to {LONGEST_LABEL} characters")
    if hidden := hidden_character(annotator):
        faults.append(f"the annotator's name holds a character that is not seen ({hidden}); take it out")
    prompt = _unmarked(layout, row["prompt"], layout.words.comparisons)
    row = row | {name: _unmarked(layout, row.get(name, ""), layout.words.models) for name in (*NAMES, "choice")}
    comparison = _comparison(layout.words, prompt, row, faults)
    replaced = _number("replaced_images", row.get("replaced_images", ""), MOST_REPLACED, faults) or 0
    choice, left_model = _choice(layout, comparison, row, replaced > 0, faults)
    vote = FileVote(
        line=line,
        annotator=annotator,
        comparison_id=comparison.pk,
        choice=choice,
        left_model=left_model or ASSUMED_LEFT,
        are_sides_known=left_model is not None or replaced > 0,
        shown_at=_time("shown_at", row.get("shown_at", ""), faults),
        voted_at=_time("voted_at", row.get("voted_at", ""), faults),
        vote_id=_vote_id(layout, comparison, row, faults),
        replaced_count=replaced,
    )
    return _with_export(layout, vote, row, faults) if layout.is_export else _timed(vote), faults


def _unmarked(layout: Layout, text: str, known: Iterable[str]) -> str:
    """The text without the apostrophe that our CSV files put before text that looks like a spreadsheet's formula."""
    if not (layout.has_apostrophes and text.startswith(APOSTROPHE)):
        return text
    candidates = (unmarked(text), text) if layout.is_export else (text, unmarked(text))
    return next((candidate for candidate in candidates if candidate in known), candidates[0])


def _timed(vote: FileVote) -> FileVote:
    """The vote with its response time, if the file gives both times in the right order."""
    if vote.shown_at is None or vote.voted_at is None or vote.voted_at < vote.shown_at:
        return vote
    milliseconds = round((vote.voted_at - vote.shown_at).total_seconds() * 1000)
    return vote._replace(response_ms=min(milliseconds, MOST_MILLISECONDS))


def _with_export(layout: Layout, vote: FileVote, row: dict[str, str], faults: list[str]) -> FileVote:
    """The vote with the values that only an export has."""
    for name, shape in SHAPES.items():
        if not shape.fullmatch(row.get(name, "")):
            faults.append(f"{name} is {quoted(row[name])}, which no export holds")
    reason = _unmarked(layout, row.get("exclusion_reason", ""), ())
    if len(reason) > LONGEST_REASON:
        faults.append(f"exclusion_reason has more than {LONGEST_REASON} characters")
    simulated = _YES_NO.get(row["simulated"].lower())
    if simulated is None:
        faults.append(f"simulated is {quoted(row['simulated'])}, and must be true or false")
    return vote._replace(
        is_simulated=bool(simulated),
        kind=_one_of("kind", row["kind"], Assignment.Kind.values, faults),
        known_choice=_one_of("known_choice", row["known_choice"], ["", *Vote.Choice.values], faults),
        state=_one_of("state", row["state"], Vote.State.values, faults),
        left_seeds=row.get("left_seeds", ""),
        right_seeds=row.get("right_seeds", ""),
        rendition=row.get("rendition", ""),
        received_at=_time("received_at", row.get("received_at", ""), faults),
        ordered_at=_time("ordered_at", row.get("ordered_at", ""), faults),
        response_ms=_number("response_ms", row.get("response_ms", ""), MOST_MILLISECONDS, faults),
        exclusion_reason=reason,
    )


def _comparison(words: StudyWords, prompt: str, row: dict[str, str], faults: list[str]) -> FileComparison:
    """Return the comparison of the line: of several on one prompt, the one with the models that the line names."""
    candidates = words.comparisons.get(prompt, ())
    unknown = [(name, row[name]) for name in NAMES if row[name] and row[name] not in words.models]
    faults += [
        f"{name} {quoted(said)} is not a model of this study ({', '.join(words.models)})" for name, said in unknown
    ]
    if not candidates:
        faults.append(f"{quoted(prompt)} is not a prompt of this study")
    if not candidates or unknown:
        return FileComparison(0, *words.models[:2])
    named = [row[name] for name in (*NAMES, "choice") if row[name] in words.models]
    fitting = [one for one in candidates if set(named) <= one.sides.keys()]
    if not fitting:
        faults.append(f"{' and '.join(dict.fromkeys(named))} are not compared with each other on this prompt")
    elif len(fitting) > 1:
        faults.append(
            "the study has several comparisons of this prompt: name both models, in the columns model_a and model_b, "
            "or left_model and right_model"
        )
    return (fitting or candidates)[0]


def _choice(
    layout: Layout, comparison: FileComparison, row: dict[str, str], is_of_one_model: bool, faults: list[str]
) -> tuple[str, Side | None]:
    """(left, right or tie; the model on the left, or None if the line does not name it)."""
    words, sides, said = layout.words, comparison.sides, row["choice"]
    left, right = row["left_model"], row["right_model"]
    for one, other in (("left_model", "right_model"), ("model_a", "model_b")):
        if row[other] and row[one] == row[other]:
            faults.append(f'{one} and {other} are both "{row[one]}"')
    left = left or next((name for name in sides if right and name != right), "")
    left_model = sides.get(left)
    if said in words.models:
        return "left" if sides.get(said) == (left_model or ASSUMED_LEFT) else "right", left_model
    text, said = said, said.lower()
    if said not in Vote.Choice.values:
        faults.append(f"{quoted(text)} is no choice: it must be {', '.join(words.models)}, left, right or tie")
    elif said == "tie" and not words.are_ties_allowed:
        faults.append("a tie, and this study has no ties")
    elif said != "tie" and not left and not is_of_one_model:
        faults.append(
            f"{said} needs left_model: name the model that was on the left"
            + ("; an export made after the study has closed names it" if layout.is_export else "")
        )
    return said, left_model


def _one_of(name: str, text: str, known: Iterable[str], faults: list[str]) -> str:
    if text.lower() not in known:
        faults.append(f"{name} is {quoted(text)}, and must be one of {', '.join(filter(None, known))}")
    return text.lower()


def _number(name: str, text: str, most: int, faults: list[str]) -> int | None:
    if not text:
        return None
    digits = text.removesuffix(".0")  # how pandas writes a whole number beside empty cells
    if digits.isascii() and digits.isdigit() and len(digits) <= 10 and int(digits) <= most:
        return int(digits)
    faults.append(f"{name} is {quoted(text)}, and must be a whole number from 0 to {most}")
    return None


def _time(name: str, text: str, faults: list[str]) -> datetime | None:
    """The ISO 8601 time; without an offset it is UTC."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        return time + _ORDERS - _ORDERS
    except (ValueError, OverflowError):
        faults.append(f"{name} {quoted(text)} is not a date and time such as 2026-03-01T12:00:00Z")
        return None


def _vote_id(layout: Layout, comparison: FileComparison, row: dict[str, str], faults: list[str]) -> uuid.UUID:
    """The line's vote_id, else an id made from the line, so that importing it again changes nothing."""
    try:
        if given := row.get("vote_id", ""):
            if not given.isascii() or "_" in given:  # UUID() also accepts the digits of other scripts, and "1_2"
                raise ValueError(given)
            return uuid.UUID(given)
    except ValueError:
        faults.append(f"vote_id {quoted(given)} is not a UUID")
    told_apart = [row.get(name, "") for name in ("kind", "received_at")] if layout.is_export else []
    if len(layout.words.models) > 2:
        told_apart += [comparison.model_a, comparison.model_b]
    annotator = layout.names.prefix + row["annotator"]
    return uuid.uuid5(uuid.NAMESPACE_URL, "\n".join((layout.words.slug, annotator, row["prompt"], *told_apart)))
