"""The columns of the export of votes and the meaning of each: the head of the table and its codebook."""

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

Kind = Literal["text", "integer", "true or false", "time"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. is_sealed: left out until the study closes."""

    name: str
    type: Kind
    unit: str
    meaning: str
    is_sealed: bool = False


COLUMNS = (
    Column("vote_id", "text", "", "The vote's own id, made at random by the page that cast it."),
    Column("annotator", "text", "", "Who voted: a pseudonym in order of arrival, the same in every file of the study."),
    Column("simulated", "true or false", "", "Whether a program made the vote, not a person."),
    Column("position", "integer", "", "The comparison's place in the study, from 1."),
    Column("prompt", "text", "", "The comparison's base prompt."),
    Column(
        "kind",
        "text",
        "",
        "main counts for agreement and reliability; repeat, ladder and instructed are checks; practice comes first.",
    ),
    Column(
        "choice",
        "text",
        "",
        "The side that was called more consistent: left, right or tie. If the sides were not recorded, it is the "
        "model's name, and empty while the study is sealed.",
    ),
    Column(
        "known_choice",
        "text",
        "",
        "For ladder, instructed and practice: the choice that is right by construction; else empty.",
    ),
    Column(
        "replaced_images",
        "integer",
        "",
        "For ladder and practice: how many images of the other side belong to other prompts; else 0.",
    ),
    Column(
        "left_model",
        "text",
        "",
        "The model whose set was on the left; empty if it was not recorded or both sets are of one model.",
        True,
    ),
    Column(
        "chosen_model",
        "text",
        "",
        "The model whose set was chosen; empty for a tie and if both sets are of one model.",
        True,
    ),
    Column(
        "left_seeds",
        "text",
        "",
        "The seeds of the left set in the order shown, row by row; * is an image that belongs to another prompt.",
        True,
    ),
    Column("right_seeds", "text", "", "The seeds of the right set, in the same way.", True),
    Column(
        "rendition",
        "text",
        "",
        "The size of image that the browser chose: grid, grid2x or zoom; empty if it was not recorded.",
    ),
    Column("shown_at", "time", "UTC", "When every image had been painted, by the browser's clock."),
    Column("voted_at", "time", "UTC", "When the annotator chose, by the browser's clock."),
    Column("received_at", "time", "UTC", "When the server stored the vote."),
    Column("response_ms", "integer", "ms", "From painted to chosen; empty if it was not measured."),
    Column(
        "state",
        "text",
        "",
        "standing: in force; superseded: undone by the annotator; late: came when its place was taken, not counted.",
    ),
    Column("exclusion_reason", "text", "", "Why the vote does not count; empty if nothing excludes it."),
    Column("notice", "text", "", "The study's notice, which must stand beside every number."),
)


def write_codebook(path: Path, names: tuple[str, ...]) -> None:
    """Write a line for each of these columns: its name, type, unit and meaning."""
    head = [field.name for field in fields(Column)][:-1]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["column", *head[1:]])
        writer.writerows(astuple(column)[:-1] for column in COLUMNS if column.name in names)
