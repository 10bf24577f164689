"""Import scores that were computed elsewhere: all rows of a file, or none."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.contrib.auth.models import User
from django.db.models import QuerySet

from annotation.models import Comparison, Import, Study
from annotation.studies.comparisons import set_ids
from annotation.studies.current import current_manifest
from annotation.studies.imports.shared_rows import brought_alone, let_go, link
from annotation.voting.availability import refuse_half_made
from annotation.voting.imports import import_runs
from annotation.voting.storage.slices import SMALL_ROWS, in_slices
from generation.tables.columns import Columns, plain
from generation.tables.foreign_values import number_in
from generation.tables.formulas import unmarked
from generation.tables.reading import file_sha256, open_table
from jobs.refusals import Refused
from jobs.wording import quoted
from scoring.metric_spec import LARGEST_SCORE, is_score
from scoring.models import SetScore
from scoring.scores import other_scores, record_imported_scores, refuse_name_of_imported

COLUMNS = Columns(("prompt", "score_a", "score_b"))
# Of several models, each of which has one score for a prompt, however many comparisons show its images.
OF_EACH_MODEL = Columns(("prompt", "model", "score"))
Place = tuple[str, ...]  # the cells that say what a row scores: a prompt, or a prompt and a model
_MISSING = ("", "nan", "na", "n/a", "null", "none", "-", "#n/a")  # as programs write that there is no number
_NAMES = {True: "higher is more consistent", False: "lower is more consistent"}


@dataclass(frozen=True, slots=True)
class ScoreImport:
    """The result of an import: how many comparisons got new scores, and how many already had the same ones.

    missing: comparisons without a score of both models, by prompt. unused: columns that were not used. repeated: lines
    that repeat an earlier one.
    """

    metric: str
    new_count: int
    unchanged_count: int
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    repeated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The scores of a line in the file, by the id of the image set: of a comparison, or of one model for a prompt."""

    line: int
    prompt: str
    values: dict[int, float]


@dataclass(slots=True)
class _Reading:
    """The state of reading a file: the scores by place, and a sentence for each faulty line. sets: ids by place."""

    sets: Mapping[Place, tuple[int, ...]]
    columns: Columns
    unused: tuple[str, ...] = ()
    rows: dict[Place, ScoreRow] = field(default_factory=dict)
    repeated: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def import_scores(
    *,
    study: Study,
    path: Path,
    metric: str,
    higher_is_more_consistent: bool | None = None,
    actor: User | None = None,
) -> ScoreImport:
    """Store the scores of a file with the columns prompt, score_a, score_b: one row for each comparison.

    Of several models the columns are prompt, model, score: one row for each model and prompt.
    higher_is_more_consistent: which way the metric points; None if the study knows it already, by its manifest or by
    earlier scores. A direction is never guessed: the wrong one reverses every winner.
    Prompts may be missing; the report then says that those comparisons have no score. Refused, and nothing is stored,
    with every fault and its line: unknown prompts, prompts that come twice with other scores, values that are not
    finite numbers, and values that differ from stored ones of the same metric. The same file again changes nothing.
    """
    refuse_half_made(study)
    refuse_name_of_imported(metric)
    models = {key: plain(model.name) for key, model in study.model_by_key.items()}
    comparisons = Comparison.objects.filter(study=study).order_by("position").select_related("prompt")
    if not comparisons:
        raise Refused(f"{study} has no comparisons yet; launch it first.")
    higher = score_direction(study, metric, told=higher_is_more_consistent)
    sha256 = file_sha256(path)
    reading = _read(path, _sets_by_place(comparisons, models), COLUMNS if len(models) == 2 else OF_EACH_MODEL)
    source = import_runs.begin(
        study=study, kind=Import.Kind.SCORES, path=path, sha256=sha256, metric=metric, actor=actor
    )
    with import_runs.removed_if_refused(source, remove_scores):
        new_count = _import(source, path, reading, higher)
    given = {pk for row in reading.rows.values() for pk in row.values}
    pairs = [(plain(one.prompt.text), {one.image_set_a_id, one.image_set_b_id}) for one in comparisons]
    missing = tuple(prompt for prompt, pair in pairs if not pair <= given)
    unchanged = sum(not given.isdisjoint(pair) for _prompt, pair in pairs) - new_count
    return ScoreImport(metric, new_count, unchanged, missing, reading.unused, tuple(reading.repeated))


def _sets_by_place(comparisons: Iterable[Comparison], models: Mapping[str, str]) -> dict[Place, tuple[int, ...]]:
    """Return the image sets that a row scores: of two models those of a comparison, of several one set."""
    sets: dict[Place, tuple[int, ...]] = {}
    for one in comparisons:
        prompt = plain(one.prompt.text)
        if len(models) == 2:
            sets[prompt,] = (one.image_set_a_id, one.image_set_b_id)
        else:
            sets[prompt, models[one.model_a]] = (one.image_set_a_id,)
            sets[prompt, models[one.model_b]] = (one.image_set_b_id,)
    return sets


def _read(path: Path, sets: Mapping[Place, tuple[int, ...]], columns: Columns) -> _Reading:
    reading = _Reading(sets, columns)
    with open_table(path, columns) as table:
        reading.unused = table.unused
        for line, row, fault in table.rows:
            if fault:
                reading.faults.append(f"line {line}: {fault}")
            else:
                _read_row(reading, line, row)
    _refuse(path, reading.faults)
    if not reading.rows:
        raise Refused(f"{path} holds no scores: there are no rows below its first line.")
    return reading


def _read_row(reading: _Reading, line: int, row: dict[str, str]) -> None:
    said = tuple(row[name] for name in ("prompt", "model") if name in reading.columns.required)
    place = next((known for known in (said, tuple(map(unmarked, said))) if known in reading.sets), None)
    if place is None:
        reading.faults.append(f"line {line}: {_unknown(reading, said)}")
        return
    names = [name for name in reading.columns.required if name.startswith("score")]
    numbers = [_number(reading, line, name, row[name]) for name in names]
    scores = [math.nan if number is None else number for number in numbers]
    row_scores = ScoreRow(line, place[0], dict(zip(reading.sets[place], scores, strict=True)))
    before = reading.rows.setdefault(place, row_scores)
    if before is row_scores:
        return
    if before.values == row_scores.values:
        reading.repeated.append(line)
    else:
        twice = " of ".join(f'"{cell}"' if cell == place[0] else cell for cell in place)
        reading.faults.append(f"line {line}: {twice} occurs twice, first in line {before.line}")


def _unknown(reading: _Reading, said: Place) -> str:
    """Return why no set of the study belongs to a row."""
    prompt, *model = said
    if not model or not any(place[0] in (prompt, unmarked(prompt)) for place in reading.sets):
        return f"{quoted(prompt)} is not a prompt of this study"
    models = ", ".join(dict.fromkeys(place[1] for place in reading.sets))
    return f"{quoted(model[0])} has no images of {quoted(prompt)} in this study, whose models are {models}"


def _number(reading: _Reading, line: int, name: str, text: str) -> float | None:
    value = number_in(text)
    if is_score(value):
        return value
    what = f"further from 0 than {LARGEST_SCORE:g}" if math.isfinite(value) else "not a finite number"
    reading.faults.append(f"line {line}: {name} is {quoted(text, 100)}, which is {what}{_number_advice(text)}")
    return None


def _number_advice(text: str) -> str:
    """Return how to write the number, if that can be seen."""
    if text.lower() in _MISSING:
        return ": leave the row of a prompt without a score out"
    if not text.isascii():
        return ": write it with the digits 0 to 9, like -12.5"
    whole, comma, rest = text.partition(",")
    is_comma = comma and whole.lstrip("-").isdigit() and rest.isdigit()
    return f": write {whole}.{rest}, with a decimal point" if is_comma else ""


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        raise Refused("\n".join([f"Nothing was imported from {path}:", *(f"  {fault}" for fault in faults)]))


def _import(source: Import, path: Path, reading: _Reading, higher: bool) -> int:
    """Store the scores; return how many comparisons got new ones."""
    metric, rows = source.metric, list(reading.rows.values())
    _refuse(path, _other_scores(metric, rows))
    in_slices(rows, partial(_store_some, source, path, higher), most=500, least=SMALL_ROWS)
    count, new_count = (_scored_count(source, scores) for scores in (source.scores.all(), brought_alone(source)))
    if count:
        detail = {"metric": metric, "comparisons": new_count, "more_consistent": "higher" if higher else "lower"}
        import_runs.finish(source, verb="scores imported", row_count=count, detail=detail)
    else:
        import_runs.forget(source)
    return new_count


def _other_scores(metric: str, rows: Sequence[ScoreRow]) -> list[str]:
    """Return a fault for each comparison that already has another score under the metric."""
    others = other_scores(metric=metric, values={pk: value for row in rows for pk, value in row.values.items()})
    return [
        # The stored score is not named: the study may be sealed.
        f'"{row.prompt}" has another score under {metric}; import under another name, or take the former '
        "scores back first"
        for row in rows
        if row.values.keys() & others
    ]


def _store_some(source: Import, path: Path, higher: bool, rows: Sequence[ScoreRow]) -> None:
    import_runs.hold(source)
    values = {pk: value for row in rows for pk, value in row.values.items()}
    scores = SetScore.objects.filter(metric=source.metric, image_set__in=values)
    known = list(scores.values_list("pk", flat=True))
    if record_imported_scores(metric=source.metric, values=values, higher_is_more_consistent=higher):
        _refuse(path, _other_scores(source.metric, rows))
    source.scores.add(*scores.exclude(pk__in=known).values_list("pk", flat=True))
    link(source, SetScore.objects.filter(pk__in=known))
    sets = set(source.scores.filter(image_set__in=values).values_list("image_set", flat=True))
    import_runs.count_rows(source, sum(not sets.isdisjoint(row.values) for row in rows))


def _scored_count(source: Import, scores: QuerySet[SetScore]) -> int:
    """Return how many comparisons of the import's study have one of these scores."""
    sets = set(scores.values_list("image_set", flat=True))
    pairs = Comparison.objects.filter(study=source.study_id).values_list("image_set_a", "image_set_b")
    return sum(not sets.isdisjoint(pair) for pair in pairs)


def remove_scores(source: Import) -> None:
    """Remove the scores of an import that this process holds; those that another import brought too stay."""
    in_slices(
        list(source.scores.values_list("pk", flat=True)), partial(_remove_some, source), most=500, least=SMALL_ROWS
    )


def _remove_some(source: Import, score_ids: Sequence[int]) -> None:
    import_runs.hold(source)
    let_go(source, score_ids).delete()


# --- which way a metric points ------------------------------------------------------------------
def score_direction(study: Study, metric: str, *, told: bool | None) -> bool:
    """Return whether a higher score by the metric is more consistent.

    told: the direction that the import names, or None. The study knows the direction of a metric that it has scores of.
    Raises Refused if neither says it, and if they contradict each other.
    """
    known = _known(study, metric)
    if known is None and told is None:
        raise Refused(
            f"It is not known which way {metric} points, and the wrong way reverses every winner: add "
            "--higher-is-more-consistent or --lower-is-more-consistent (as for LPIPS, a distance)."
        )
    if known is not None and told is not None and known != told:
        raise Refused(
            f"In this study {metric} is a metric of which {_NAMES[known]}: import the scores under another name, or "
            "take the earlier ones back first."
        )
    return bool(known if told is None else told)


def _known(study: Study, metric: str) -> bool | None:
    """Return what the manifest, or else earlier scores of the study, say of the metric; None if neither knows it."""
    manifest = current_manifest(study)
    declared = [plan for plan in manifest.metrics if plan.needs == "scores" and plan.name == metric]
    return (
        declared[0].higher_is_more_consistent
        if declared
        else _stored(study, metric).values_list("higher_is_more_consistent", flat=True).first()
    )


def _stored(study: Study, metric: str) -> QuerySet[SetScore]:
    return SetScore.objects.filter(metric=metric, image_set__in=set_ids(study.comparisons.all()))
