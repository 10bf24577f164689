"""The data of one pair of models out of a study of several: what the report of that pair is made from. Pure."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import (
    UNKNOWN,
    Exclusion,
    RepeatRow,
    SealedData,
    Similarities,
    UnsealedData,
)
from annotation.studies.manifest import Manifest
from annotation.studies.nearest_names import did_you_mean
from annotation.studies.pairs import PairsPlan
from jobs.refusals import Refused

Booleans = NDArray[np.bool_]
Data = TypeVar("Data", bound=SealedData)


def pair_of(manifest: Manifest, wanted: Sequence[str]) -> str:
    """Return the pair of two models as SealedData names it: their keys in the order of the study file.

    wanted: two keys or names, in any order; empty for the whole study. A study of two models has no pairs of its own,
    so that its own two models give an empty pair. Raises Refused for other models, and for a pair that was not
    compared.
    """
    if not wanted:
        return ""
    keys = list(manifest.models)
    found = sorted({keys.index(_key(manifest, name)) for name in wanted})
    if len(found) != 2 or len(wanted) != 2:
        raise Refused("A pair is two different models; name both.")
    pair = (keys[found[0]], keys[found[1]])
    if pair not in manifest.compared_pairs:
        raise Refused(f"The study does not compare {pair[0]} with {pair[1]}.")
    return ",".join(pair) if len(keys) > 2 else ""


def _key(manifest: Manifest, name: str) -> str:
    names = {plan.name: key for key, plan in manifest.models.items()}
    if name in manifest.models or name in names:
        return name if name in manifest.models else names[name]
    known = list(manifest.models)
    raise Refused(f"The study has no model {name!r}; its models: {', '.join(known)}{did_you_mean(name, known)}.")


def of_pair(data: Data, pair: str) -> Data:
    """Return the data of the comparisons between two models, as if the study had no others.

    pair: as `pair_of` returns it; empty: the data as they are. Annotators keep their pseudonyms, and comparisons their
    positions. Late, undone and withdrawn votes, events and checks of known order are those of the whole study: they
    are counted for annotators, not for pairs.
    """
    if not pair:
        return data
    first, second = pair.split(",")
    keys, rows = list(data.manifest.models), data.comparisons
    kept = (rows.model_a == keys.index(first)) & (rows.model_b == keys.index(second))
    place = np.where(kept, np.cumsum(kept) - 1, UNKNOWN)
    changes: dict[str, Any] = {
        "pair": pair,
        "manifest": _of_two(data.manifest, first, second),
        "comparisons": replace(
            _rows(rows, kept), model_a=np.zeros(kept.sum(), dtype=np.int64), model_b=np.ones(kept.sum(), dtype=np.int64)
        ),
        "votes": _votes(data.votes, kept, place),
        "checks": replace(data.checks, repeats=_repeats(data.checks.repeats, place)),
    }
    if isinstance(data, UnsealedData):
        changes |= {
            "margins": {name: margin[kept] for name, margin in data.margins.items()},
            "similarities": _similarities(data.similarities, kept, place),
            "other_similarities": {
                name: _similarities(one, kept, place) for name, one in data.other_similarities.items()
            },
            "matrices": {name: _similarities(one, kept, place) for name, one in data.matrices.items()},
        }
    return replace(data, **changes)


def _of_two(manifest: Manifest, first: str, second: str) -> Manifest:
    """Return the manifest with only these models and the prompts on which they are compared."""
    models = {key: manifest.models[key] for key in (first, second)}
    prompts = tuple(manifest.prompts[one.prompt] for one in manifest.comparisons if one[1:] == (first, second))
    return manifest.model_copy(update={"models": models, "pairs": PairsPlan(), "prompts": prompts})


def _rows(arrays: Any, kept: Booleans) -> Any:
    """Return arrays with only the kept rows: every field that has a row for each."""
    changes: dict[str, Any] = {}
    for field in fields(arrays):
        value = getattr(arrays, field.name)
        if isinstance(value, np.ndarray):
            changes[field.name] = value[kept]
        elif field.name == "prompt":
            changes[field.name] = tuple(text for text, is_kept in zip(value, kept.tolist(), strict=True) if is_kept)
    return replace(arrays, **changes)


def _votes(votes: Any, kept: Booleans, place: NDArray[np.int64]) -> Any:
    """Return the votes on kept comparisons, which have new places; their order stays."""
    left = _rows(votes, kept[votes.comparison])
    exclusions = tuple(
        Exclusion(int(place[row.comparison]), row.annotator, row.reason)
        for row in votes.exclusions
        if kept[row.comparison]
    )
    arrival = np.argsort(np.argsort(left.arrival)).astype(np.int64)
    return replace(left, comparison=place[left.comparison].astype(np.int32), arrival=arrival, exclusions=exclusions)


def _repeats(rows: Sequence[RepeatRow], place: NDArray[np.int64]) -> tuple[RepeatRow, ...]:
    return tuple(
        replace(row, comparison=int(place[row.comparison]))
        for row in rows
        if row.comparison != UNKNOWN and place[row.comparison] != UNKNOWN
    )


def _similarities(alike: Similarities, kept: Booleans, place: NDArray[np.int64]) -> Similarities:
    if not len(alike.comparison):
        return alike
    used = kept[alike.comparison]
    return Similarities(place[alike.comparison[used]], alike.a[used], alike.b[used], alike.reason)
