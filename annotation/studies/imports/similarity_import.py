"""Import similarities or distances of every two images of a set, computed elsewhere: all rows of a file, or none."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
from django.contrib.auth.models import User
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotation.models import Import, Study
from annotation.studies.comparisons import image_sets_of
from annotation.studies.current import current_manifest
from annotation.studies.imports.shared_rows import brought_alone, let_go, link
from annotation.voting.availability import refuse_half_made
from annotation.voting.imports import import_runs
from annotation.voting.storage.slices import SMALL_ROWS, in_slices
from generation.models import ImageSet
from generation.tables.columns import Columns, plain
from generation.tables.foreign_values import number_in
from generation.tables.reading import file_sha256, open_table
from jobs.refusals import Refused
from jobs.wording import first_line, quoted
from scoring.encoder_spec import COMPARER_KINDS
from scoring.metric_spec import LARGEST_SCORE, MetricSpec
from scoring.models import PairwiseSimilarities, SetScore
from scoring.pairs import Pairs, matrix_bytes
from scoring.scores import refuse_unusable_name, score_of_stored, score_pairs

COLUMNS = Columns(("model", "prompt", "seed_i", "seed_j", "value"))
MOST_SHOWN = 20  # faults
SETS_OF_A_SLICE, LEAST_SETS = 100, 10  # a slice also scores each set by every metric
DEFAULT_METRIC = "mean_of_pairs"
_SAME = 1e-12

Place = tuple[str, str]  # model and prompt
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SimilarityImport:
    """The result of an import: the sets that got a matrix, those that had the same one, those without rows, the metrics
    that were computed."""

    new_count: int
    unchanged_count: int
    missing_count: int
    metrics: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """The state of reading a file: the values of each set by pair of seeds, and a sentence for each faulty line."""

    sets: Mapping[Place, ImageSet]
    are_distances: bool
    values: dict[Place, dict[Pair, float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def import_similarities(
    *, study: Study, path: Path, name: str, kind: Pairs, metric: str = "", actor: User | None = None
) -> SimilarityImport:
    """Store the values of a file with the columns model, prompt, seed_i, seed_j, value: a row for each pair of images.

    Sets may be missing; a set that is there has every pair once, or twice with the same value. kind: whether they are
    distances, and the kernel. metric: computed from them, beside those that the manifest names. Refused with every
    fault, and nothing is stored, if a row is faulty, a set is not whole, or a set has other values under this name.
    """
    refuse_half_made(study)
    sha256 = file_sha256(path)  # refuses what is no file
    specs = _specs(study, name, metric or DEFAULT_METRIC)
    reading = _Reading(_sets(study), kind.are_distances)
    for line, row in _rows(path):
        _read_row(reading, line, row)
    whole = _matrices(reading)
    _refuse(path, reading.faults)
    if not whole:
        raise Refused(f"{path} holds no similarities: there are no rows below its first line.")
    found = [_stored_as(reading.sets[place], matrix, sha256, name, kind) for place, matrix in whole.items()]
    _refuse_others(found)
    for one, spec in product(found, specs):
        score_of_stored(one, spec)  # refused before anything is stored
    source = import_runs.begin(
        study=study, kind=Import.Kind.SIMILARITIES, path=path, sha256=sha256, metric=name, actor=actor
    )
    with import_runs.removed_if_refused(source, remove_similarities):
        in_slices(found, partial(_store_some, source, specs), most=SETS_OF_A_SLICE, least=LEAST_SETS)
    count, new_count = source.similarities.count(), brought_alone(source).count()
    if count:
        detail = {"similarities": name, "sets": new_count, **kind.as_document()}
        import_runs.finish(source, verb="similarities imported", row_count=count, detail=detail)
    else:
        import_runs.forget(source)
    missing = len(reading.sets) - len(whole)
    return SimilarityImport(new_count, len(whole) - new_count, missing, tuple(spec.identity for spec in specs))


def _specs(study: Study, name: str, metric: str) -> list[MetricSpec]:
    """Return the metrics that are computed from similarities of this name: that one, and those of the manifest."""
    if not name.strip() or "/" in name or len(name) > 100:
        raise Refused(
            f"Similarities need a name of 1 to 100 characters without a slash, like lpips, not {name[:40]!r}."
        )
    if (kind := name.casefold().partition(":")[0]) != name.casefold() and kind in COMPARER_KINDS:
        raise Refused(
            f"{name} is the name of similarities that {kind} computes here, so imported ones would pass for those: "
            f"import them under another name, such as {kind}."
        )
    manifest = current_manifest(study)
    declared = [plan.spec(manifest.encoder) for plan in manifest.metrics if plan.needs == "similarities"]
    specs = [MetricSpec(metric, None, name), *(spec for spec in declared if spec.similarities == name)]
    for spec in specs:
        refuse_unusable_name(spec.identity)
    return list(dict.fromkeys(specs))


def _sets(study: Study) -> dict[Place, ImageSet]:
    """Return the image sets of the study by model and prompt."""
    sets = image_sets_of(study).select_related("diffusion_model", "prompt")
    found = {(one.diffusion_model.name, plain(one.prompt.text)): one for one in sets}
    if not found:
        raise Refused(f"{study} has no comparisons yet; launch it first.")
    return found


# --- reading ------------------------------------------------------------------------------------
def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a table, or of an .npz with the columns as arrays, with their place in words."""
    if path.suffix.lower() == ".npz":
        yield from _npz_rows(path)
        return
    with open_table(path, COLUMNS) as table:
        for line, row, fault in table.rows:
            if fault:
                raise Refused(f"Nothing was imported from {path}: line {line}: {fault}.")
            yield f"line {line}", row


def _npz_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    if not is_zipfile(path):
        raise Refused(f"{path} is not an .npz file, or it is cut off: numpy.savez writes one.")
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: np.asarray(file[name]) for name in COLUMNS.required if name in file}
    except Exception as error:  # its decoders raise errors of many kinds on damaged files
        raise Refused(f"{path} is damaged or not an .npz file: {first_line(error)}.") from None
    if missing := [name for name in COLUMNS.required if name not in columns]:
        raise Refused(
            f"{path} has no array {missing[0]}: an .npz holds {', '.join(COLUMNS.required)}, one entry a pair."
        )
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(shapes.pop()) != 1:
        raise Refused(f"{path} holds arrays of different shapes: each is one column, with one entry for each pair.")
    for place, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield f"entry {place}", {name: plain(_text(cell)) for name, cell in zip(columns, cells, strict=True)}


def _text(cell: object) -> str:
    return cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)


def _read_row(reading: _Reading, line: str, row: dict[str, str]) -> None:
    place = (row["model"], row["prompt"])
    image_set = reading.sets.get(place)
    if image_set is None:
        reading.faults.append(f"{line}: no image set of this study is of {quoted(place[0])} and {quoted(place[1])}")
        return
    seeds = [_seed(row[name]) for name in ("seed_i", "seed_j")]
    value = number_in(row["value"])
    known = set(image_set.seeds)
    if unknown := [row[name] for name, seed in zip(("seed_i", "seed_j"), seeds, strict=True) if seed not in known]:
        reading.faults.append(f"{line}: {quoted(unknown[0], 50)} is not a seed of the set")
    elif fault := _value_fault(value, is_same=seeds[0] == seeds[1], are_distances=reading.are_distances):
        reading.faults.append(f"{line}: the value is {quoted(row['value'], 50)}, {fault}")
    else:
        first, second = sorted(seed for seed in seeds if seed is not None)
        before = reading.values.setdefault(place, {}).setdefault((first, second), value)
        if abs(before - value) > _SAME * max(1.0, abs(before)):
            reading.faults.append(f"{line}: the pair {first} and {second} occurs twice, with another value before")


def _seed(text: str) -> int | None:
    digits = text.removesuffix(".0")  # how NumPy writes a whole number of an array of numbers with decimals
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _value_fault(value: float, *, is_same: bool, are_distances: bool) -> str:
    """Return what is wrong with a value; empty if nothing is."""
    if not math.isfinite(value):
        return "which is not a finite number"
    if are_distances:
        if is_same and value:
            return "but an image is at distance 0 from itself"
        if value > LARGEST_SCORE:
            return f"which is larger than {LARGEST_SCORE:g}"
        return "but a distance is never negative" if value < 0 else ""
    if is_same and abs(value - 1) > 1e-6:
        return "but an image has similarity 1 to itself; are these --distances?"
    return "but a similarity lies between -1 and 1; are these --distances?" if abs(value) > 1 + 1e-6 else ""


def _matrices(reading: _Reading) -> dict[Place, NDArray[np.float64]]:
    """Return the (N, N) matrix of each set of which there are rows; a fault for each pair that is missing."""
    whole = {}
    for place, values in reading.values.items():
        seeds = sorted(reading.sets[place].seeds)
        matrix = np.full((len(seeds), len(seeds)), np.nan)
        np.fill_diagonal(matrix, 0.0 if reading.are_distances else 1.0)
        at = {seed: index for index, seed in enumerate(seeds)}
        for (first, second), value in values.items():
            if first != second:
                matrix[at[first], at[second]] = matrix[at[second], at[first]] = value
        if np.isnan(matrix).any():
            row, column = np.argwhere(np.isnan(matrix))[0]
            pair = f"{seeds[row]} and {seeds[column]}"
            reading.faults.append(f'{place[0]}, "{place[1]}": the pair of seeds {pair} is missing')
        whole[place] = matrix
    return whole


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        more = [f"and {len(faults) - MOST_SHOWN} more"] if len(faults) > MOST_SHOWN else []
        shown = [*faults[:MOST_SHOWN], *more]
        raise Refused("\n".join([f"Nothing was imported from {path}:", *(f"  {fault}" for fault in shown)]))


# --- storing ------------------------------------------------------------------------------------
def _stored_as(
    image_set: ImageSet, matrix: NDArray[np.float64], sha256: str, name: str, kind: Pairs
) -> PairwiseSimilarities:
    return PairwiseSimilarities(
        image_set=image_set,
        name=name,
        seeds=sorted(image_set.seeds),
        values=matrix_bytes(matrix),
        are_distances=kind.are_distances,
        bandwidth=kind.bandwidth,
        file_sha256=sha256,
    )


def _refuse_others(found: Sequence[PairwiseSimilarities]) -> dict[int, int]:
    """Return the ids of the rows that are stored already, by set. Raises Refused if a stored one has other values."""
    sets = {one.image_set_id: one for one in found}
    standing = PairwiseSimilarities.objects.filter(name=found[0].name, image_set__in=sets)
    for row in standing:
        one = sets[row.image_set_id]
        if (bytes(row.values), row.are_distances, row.bandwidth) != (one.values, one.are_distances, one.bandwidth):
            raise Refused(
                f"{one.image_set} has other similarities under {one.name}: import these under another name, or take "
                "back the stored ones first."
            )
    return {row.image_set_id: row.pk for row in standing}


def _store_some(source: Import, specs: Sequence[MetricSpec], some: Sequence[PairwiseSimilarities]) -> None:
    import_runs.hold(source)
    known = _refuse_others(some)
    new = [one for one in some if one.image_set_id not in known]
    PairwiseSimilarities.objects.bulk_create(new)
    source.similarities.add(*new)
    link(source, PairwiseSimilarities.objects.filter(pk__in=known.values()))
    for one, spec in product(some, specs):
        score_pairs(one.image_set, spec)
    import_runs.count_rows(source, len(new))


def remove_similarities(source: Import) -> None:
    """Remove the similarities of an import that this process holds, and the scores computed from them.

    Those that another import brought too stay.
    """
    ids = list(source.similarities.values_list("pk", flat=True))
    in_slices(ids, partial(_remove_some, source), least=SMALL_ROWS)


def _remove_some(source: Import, ids: Sequence[int]) -> None:
    import_runs.hold(source)
    going = let_go(source, ids)
    scores_by(source.metric, going.values("image_set")).delete()
    going.delete()


def scores_by(name: str, image_sets: QuerySet[Any]) -> QuerySet[SetScore]:
    """Return the scores of the sets that were computed from the similarities of this name."""
    computed = SetScore.objects.filter(image_set__in=image_sets, source=SetScore.Source.COMPUTED)
    metrics = computed.order_by().values_list("metric", flat=True).distinct()
    # Compared here, because SQLite's LIKE ignores the difference between small and capital letters.
    return computed.filter(metric__in=[metric for metric in metrics if metric.endswith(f"/pairs:{name}")])
