"""The columns of the export of votes and the meaning of each: the head of the table and its codebook."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["text", "integer", "true or false", "time"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. is_sealed: left out until the study closes. is_of_several: only in studies of more than two models."""

    name: str
    meaning: str
    type: Kind = "text"
    unit: str = ""
    is_sealed: bool = False
    is_of_several: bool = False


COLUMNS = (
    Column("vote_id", "The vote's own id, made at random by the page that cast it."),
    Column("annotator", "Who voted: a pseudonym in order of arrival, the same in every file of the study."),
    Column("simulated", "Whether a program made the vote, not a person.", "true or false"),
    Column("position", "The comparison's place in the study, from 1.", "integer"),
    Column("prompt", "The comparison's base prompt."),
    Column(
        "kind",
        "main counts for agreement and reliability; repeat, ladder and instructed are checks; practice comes first.",
    ),
    Column(
        "choice",
        "The side that was called more consistent: left, right or tie. If the sides were not recorded, it is the "
        "model's name, and empty while the study is sealed.",
    ),
    Column(
        "known_choice",
        "For ladder, instructed and practice: the choice that is right by construction; else empty.",
    ),
    Column(
        "replaced_images",
        "For ladder and practice: how many images of the other side belong to other prompts; else 0.",
        "integer",
    ),
    Column(
        "model_a",
        "The comparison's model that comes first in the study file; only if the study has more than two.",
        is_sealed=True,
        is_of_several=True,
    ),
    Column("model_b", "The comparison's other model, in the same way.", is_sealed=True, is_of_several=True),
    Column(
        "left_model",
        "The model whose set was on the left; empty if it was not recorded or both sets are of one model.",
        is_sealed=True,
    ),
    Column(
        "chosen_model",
        "The model whose set was chosen; empty for a tie and if both sets are of one model.",
        is_sealed=True,
    ),
    Column(
        "left_seeds",
        "The seeds of the left set in the order shown, row by row; * is an image that belongs to another prompt.",
        is_sealed=True,
    ),
    Column("right_seeds", "The seeds of the right set, in the same way.", is_sealed=True),
    Column(
        "rendition",
        "The size of image that the browser chose: grid, grid2x or zoom; empty if it was not recorded.",
    ),
    Column("shown_at", "When every image had been painted, by the browser's clock.", "time", "UTC"),
    Column("voted_at", "When the annotator chose, by the browser's clock.", "time", "UTC"),
    Column("received_at", "When the server stored the vote.", "time", "UTC"),
    Column(
        "ordered_at",
        "Orders the vote among all votes: received_at; of an imported vote its voted_at, or else the time of the "
        "import, made different by microseconds in the order of the file.",
        "time",
        "UTC",
    ),
    Column("response_ms", "From painted to chosen; empty if it was not measured.", "integer", "ms"),
    Column(
        "state",
        "standing: in force; superseded: undone by the annotator; late: came when its place was taken, not counted.",
    ),
    Column("exclusion_reason", "Why the vote does not count; empty if nothing excludes it."),
    Column("notice", "The study's notice, which must stand beside every number."),
)


def write_codebook(path: Path, names: tuple[str, ...]) -> None:
    """Write a line for each of these columns: its name, type, unit and meaning."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["column", "type", "unit", "meaning"])
        writer.writerows((one.name, one.type, one.unit, one.meaning) for one in COLUMNS if one.name in names)
