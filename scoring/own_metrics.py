"""Metrics of one's own: a function in a file, which takes the embeddings or the images of a set and returns a score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from jobs.refusals import Refused
from scoring.metric_spec import LARGEST_SCORE, OWN, is_score
from scoring.own_code import OwnFunction, function_in_file, known_function, own_faults, parameter_of

GROUP = "semblance.metrics"
Takes = Literal["embeddings", "images"]


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
        with own_faults(f"The metric {self.name} failed with"):
            value = self.function(given)
            score = float(value)
        if not is_score(score):
            raise Refused(
                f"The metric {self.name} returned {score}, which is not a score: return a finite number up to "
                f"{LARGEST_SCORE:g}."
            )
        return score


def own_metric(name: str) -> OwnMetric:
    """Return the metric of a name like "own:sharpness". Raises Refused if this machine does not know it."""
    found = known_function(name.removeprefix(OWN), group=GROUP)
    if found is None:
        raise Refused(
            f"This machine knows no metric {name}: install it as an entry point of {GROUP}, or list it in the file "
            "that OWN_METRICS_FILE names."
        )
    return _described(name, found)


def metric_in_file(place: str, *, name: str) -> OwnMetric:
    """Return the metric of a place like "/metrics/sharpness.py:sharpness". The file's code runs here."""
    return _described(name, function_in_file(place))


def _described(name: str, found: OwnFunction) -> OwnMetric:
    """Read what the function says of itself: its one parameter's name, and its attribute higher_is_more_consistent."""
    function, takes = found.function, parameter_of(found.function)
    higher = getattr(function, "higher_is_more_consistent", None)
    if "/" in name:  # it would look like another metric by an encoder
        raise Refused(f"The name of a metric of your own must not have a slash: {name}.")
    if takes not in get_args(Takes):
        raise Refused(f"The metric {name} takes {takes or 'nothing'}: call its parameter embeddings, or images.")
    if not isinstance(higher, bool):
        raise Refused(
            f"The metric {name} does not say which way it points: set {function.__name__}.higher_is_more_consistent "
            "to True or False, below the function."
        )
    return OwnMetric(name, function, takes, higher, found.sha256)  # type: ignore[arg-type]
