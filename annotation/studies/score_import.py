"""Bring in scores that were computed elsewhere: all of a file or none of it."""

import csv
import io
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from annotation.models import Comparison, Study, StudyEvent
from annotation.studies.texts import read_text
from annotation.voting.opening import refuse_half_made
from generation.refusals import Refused
from scoring.models import SetScore
from scoring.scores import record_imported_scores

COLUMNS = ("prompt", "score_a", "score_b")


@dataclass(frozen=True, slots=True)
class ScoreImport:
    """What an import did: comparisons whose scores are new, and comparisons that had the same scores already."""

    metric: str
    new_count: int
    unchanged_count: int


@dataclass(slots=True)
class _Reading:
    """A scores file read so far: the scores of both sets by comparison, and what is wrong, by line."""

    comparisons: dict[str, Comparison]
    scores: dict[int, tuple[float, float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def import_scores(*, study: Study, path: Path, metric: str) -> ScoreImport:
    """Store the scores of a CSV file with the columns prompt, score_a, score_b: one row for each comparison.

    Refused with every fault by its line: unknown prompts, prompts twice, prompts missing, values that are no
    finite numbers, and other values than those that stand under the metric. Then nothing is stored. The same file
    again changes nothing.
    """
    refuse_half_made(study)
    comparisons = {
        _plain(comparison.prompt.text): comparison
        for comparison in Comparison.objects.filter(study=study).select_related("prompt")
    }
    if not comparisons:
        raise Refused(f"{study} has no comparisons yet; launch it first.")
    reading = _Reading(comparisons)
    for line, row in _rows(path):
        _read_row(reading, line, row)
    absent = [item for item in comparisons.values() if item.pk not in reading.scores]
    if not reading.faults:
        reading.faults += [f'no row for "{comparison.prompt}"' for comparison in absent]
    _refuse(path, reading.faults)
    return _store(study, path, metric, reading)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True, strict=True)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if set(COLUMNS) - set(reader.fieldnames):
            raise Refused(f"{path} must begin with a line that names its columns: prompt,score_a,score_b.")
        for row in reader:
            yield reader.line_num, {name: row.get(name) or "" for name in COLUMNS}
    except csv.Error as error:
        raise Refused(f"{path} line {reader.reader.line_num} is not CSV: {error}.") from None


def _read_row(reading: _Reading, line: int, row: dict[str, str]) -> None:
    comparison = reading.comparisons.get(_plain(row["prompt"]))
    if comparison is None:
        reading.faults.append(f'line {line}: "{row["prompt"]}" is not a prompt of this study')
        return
    values = [_number(row[name]) for name in COLUMNS[1:]]
    for name, value in zip(COLUMNS[1:], values, strict=True):
        if value is None:
            reading.faults.append(f'line {line}: {name} is "{row[name]}", which is not a finite number')
    if comparison.pk in reading.scores:
        reading.faults.append(f'line {line}: "{comparison.prompt}" is there twice')
    first, second = (math.nan if value is None else value for value in values)
    reading.scores[comparison.pk] = (first, second)


def _plain(prompt: str) -> str:
    """One spelling of a prompt: composed letters, no blanks at its ends."""
    return unicodedata.normalize("NFC", prompt).strip()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        raise Refused("\n".join([f"Nothing was imported from {path}:", *(f"  {fault}" for fault in faults)]))


@transaction.atomic
def _store(study: Study, path: Path, metric: str, reading: _Reading) -> ScoreImport:
    comparisons = reading.comparisons.values()
    values = {
        pk: value
        for item in comparisons
        for pk, value in zip((item.image_set_a_id, item.image_set_b_id), reading.scores[item.pk], strict=True)
    }
    standing = set(SetScore.objects.filter(metric=metric).values_list("image_set", flat=True))
    others = record_imported_scores(metric=metric, values=values)
    _refuse(
        path,
        [
            # Without the score that stands: the study may be sealed.
            f'"{item.prompt}" has another score under {metric}; import under another name'
            for item in comparisons
            if item.image_set_a_id in others or item.image_set_b_id in others
        ],
    )
    new_count = sum(not {item.image_set_a_id, item.image_set_b_id} <= standing for item in comparisons)
    if new_count:
        detail = {"metric": metric, "comparisons": new_count}
        StudyEvent.objects.create(study=study, verb="scores imported", detail=detail)
    return ScoreImport(metric, new_count, len(reading.comparisons) - new_count)
