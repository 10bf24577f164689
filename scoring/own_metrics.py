"""Metrics of one's own: a function in a file, which takes the embeddings or the images of a set and returns a score.

A worker knows them by entry points of the group `semblance.metrics`, or by the file that the setting OWN_METRICS_FILE
names: the admin lists there what may run. No study file, form or request ever names a path.
"""

import hashlib
import importlib.util
import inspect
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from django.conf import settings
from PIL import Image

from jobs.refusals import Refused
from scoring.metric_spec import LARGEST_SCORE, OWN, is_score

GROUP = "semblance.metrics"
Takes = Literal["embeddings", "images"]
_KEYS = {"function", "takes", "higher_is_more_consistent"}


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A metric of one's own: its function, what it takes, which way it points, and the hash of its source."""

    name: str
    function: Callable[[Any], Any]
    takes: Takes
    higher_is_more_consistent: bool
    sha256: str

    def score(self, given: np.ndarray | Sequence[Image.Image]) -> float:
        """Return the score of the embeddings (N, d), or of the list of images. Raises Refused, in one sentence."""
        try:
            value = self.function(given)
            score = float(value)
        except Exception as error:  # a stranger's function fails in its own ways
            first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise Refused(f"The metric {self.name} failed with {type(error).__name__}: {first}.") from error
        if not is_score(score):
            raise Refused(
                f"The metric {self.name} returned {score}, which is no score: return a finite number up to "
                f"{LARGEST_SCORE:g}."
            )
        return score


def own_metric(name: str) -> OwnMetric:
    """Return the metric of a name like "own:sharpness". Raises Refused if this machine does not know it."""
    bare = name.removeprefix(OWN)
    listed = _listed()
    if bare in listed:
        return metric_in_file(listed[bare], name=name)
    for entry in entry_points(group=GROUP, name=bare):
        return _described(name, entry.load())
    raise Refused(
        f"This machine knows no metric {name}: install it as an entry point of {GROUP}, or list it in the file that "
        "OWN_METRICS_FILE names."
    )


def metric_in_file(place: str, *, name: str) -> OwnMetric:
    """Return the metric of a place like "/metrics/sharpness.py:sharpness". The file's code runs here."""
    path, _, function_name = place.rpartition(":")
    if not path or not function_name.isidentifier():
        raise Refused(f'"{place}" names no function: write the file and the function, like metric.py:score.')
    file = Path(path).expanduser()
    try:
        spec = importlib.util.spec_from_file_location(f"own_metric_{file.stem}", file)
        if spec is None or spec.loader is None or not file.is_file():
            raise Refused(f"There is no Python file {file}.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Refused:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise Refused(f"{file} cannot be run: {type(error).__name__}: {first}.") from error
    if not callable(function := getattr(module, function_name, None)):
        raise Refused(f"{file} has no function {function_name}.")
    return _described(name, function, source=file)


def _described(name: str, function: Any, source: Path | None = None) -> OwnMetric:
    """Read what the function says of itself: its one parameter's name, and its attribute higher_is_more_consistent."""
    takes = next(iter(inspect.signature(function).parameters), "")
    higher = getattr(function, "higher_is_more_consistent", None)
    if takes not in get_args(Takes):
        raise Refused(f"The metric {name} takes {takes or 'nothing'}: call its parameter embeddings, or images.")
    if not isinstance(higher, bool):
        raise Refused(
            f"The metric {name} does not say which way it points: set {function.__name__}.higher_is_more_consistent "
            "to True or False, below the function."
        )
    file = source or Path(inspect.getsourcefile(function) or "")
    return OwnMetric(name, function, takes, higher, hashlib.sha256(file.read_bytes()).hexdigest())  # type: ignore[arg-type]


def _listed() -> dict[str, str]:
    """Return the places that the admin lists, by name: a TOML file of lines like sharpness = "/metrics/a.py:score"."""
    if not settings.OWN_METRICS_FILE:
        return {}
    path = Path(settings.OWN_METRICS_FILE)
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(
            f"OWN_METRICS_FILE is {path}, which cannot be read as TOML: {str(error).splitlines()[0]}."
        ) from error
    if faulty := [name for name, place in listed.items() if not isinstance(place, str)]:
        raise Refused(f'{path}: {faulty[0]} must be a text like "/metrics/sharpness.py:score".')
    return listed
