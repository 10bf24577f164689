"""Functions of one's own, whose code runs here: those in a file, and those that the admin lists or has installed.

A worker knows them by entry points, or by the file that the setting OWN_METRICS_FILE names: the admin lists there what
may run. No study file, form or request ever names a path.
"""

import hashlib
import importlib.util
import inspect
import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from django.conf import settings
from numpy.typing import NDArray
from PIL import Image

from jobs.refusals import Refused
from jobs.wording import first_line
from scoring.encoder_spec import OWN_ENCODER, EncoderSpec

ENCODERS = "encoders"  # the table of OWN_METRICS_FILE that lists image encoders
GROUP = "semblance.encoders"
_ENDED = {number - 256 for number in signal.Signals}  # with these codes a signal ends a worker, whatever code runs


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """A function of one's own, and the hash of the file that it stands in."""

    function: Any
    sha256: str


def known_function(bare: str, *, group: str, table: str = "") -> OwnFunction | None:
    """Return the function that this machine knows by a name; None if it knows none.

    group: of the entry points. table: of OWN_METRICS_FILE; without one the lines above its tables are read.
    Raises Refused if two functions have the name, or the code cannot be loaded.
    """
    listed, installed = _listed(table), {entry.value: entry for entry in entry_points(group=group, name=bare)}
    places = [f"{settings.OWN_METRICS_FILE} lists {listed[bare]}"] if bare in listed else []
    places += [f"a package installs {value}" for value in installed]
    if len(places) > 1:
        raise Refused(f"{group} knows {bare} twice: {places[0]}, and {places[1]}. Take one of them away, or rename it.")
    if bare in listed:
        return function_in_file(listed[bare])
    return _installed(bare, *installed.values()) if installed else None


def known_names(*, group: str, table: str = "") -> list[str]:
    """Return the names that `known_function` knows here, by alphabet. None of their code runs."""
    return sorted({*_listed(table), *(entry.name for entry in entry_points(group=group))})


def function_in_file(place: str) -> OwnFunction:
    """Return the function of a place like "/metrics/sharpness.py:sharpness". The file's code runs here."""
    path, _, function_name = place.rpartition(":")
    if not path or not function_name.isidentifier():
        raise Refused(f'"{place}" names no function: write the file and the function, like metric.py:score.')
    file = Path(path).expanduser()
    with own_faults(f"{file} cannot be run:"):
        spec = importlib.util.spec_from_file_location(f"own_{file.stem}", file)
        if spec is None or spec.loader is None or not file.is_file():
            raise Refused(f"There is no Python file {file}.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickle look for a module there
        spec.loader.exec_module(module)
    if not callable(function := getattr(module, function_name, None)):
        raise Refused(f"{file} has no function {function_name}.")
    return _found(function, file)


def parameter_of(function: Any) -> str:
    """Return the name of a function's first parameter; empty if it has none, or Python does not know it."""
    try:
        return next(iter(inspect.signature(function).parameters), "")
    except (ValueError, TypeError):  # of a builtin
        return ""


@contextmanager
def own_faults(beginning: str) -> Iterator[None]:
    """Turn any error of somebody's code into Refused: its sentence begins so, and ends with what the error says.

    Only the signal that ends this process passes, which is no fault of the code that runs just then.
    """
    try:
        yield
    except Refused:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code in _ENDED:
            raise
        raise Refused(f"{beginning} {type(error).__name__}: {first_line(error)}.") from error


def _installed(bare: str, entry: EntryPoint) -> OwnFunction:
    """Load the function of an entry point. Its package's code runs here."""
    with own_faults(f"{bare}, installed as {entry.value}, cannot be loaded:"):
        function = entry.load()
        return _found(function, Path(inspect.getsourcefile(function) or ""))


def _found(function: Any, file: Path) -> OwnFunction:
    return OwnFunction(function, hashlib.sha256(file.read_bytes()).hexdigest())


def _listed(table: str) -> dict[str, str]:
    """Return the places that the admin lists, by name: a TOML file of lines like sharpness = "/metrics/a.py:score"."""
    if not settings.OWN_METRICS_FILE:
        return {}
    path = Path(settings.OWN_METRICS_FILE)
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"OWN_METRICS_FILE is {path}, which cannot be read as TOML: {first_line(error)}.") from error
    encoders = whole.pop(ENCODERS, {})
    listed = encoders if table else whole
    if not isinstance(listed, dict):
        raise Refused(f"{path}: {table} must be a table, [{table}].")
    if faulty := [name for name, place in listed.items() if not isinstance(place, str)]:
        raise Refused(f'{path}: {faulty[0]} must be a text like "/metrics/sharpness.py:score".')
    return listed


# --- encoders -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class OwnEncoder:
    """An image encoder of one's own, used like those of `scoring.encoders.loading`. fingerprint: of its file."""

    spec: EncoderSpec
    function: Any
    fingerprint: str

    @property
    def identity(self) -> str:
        """The key of its stored embeddings."""
        return self.spec.identity

    @property
    def provenance(self) -> dict[str, Any]:
        """The origin of the embeddings, as JSON."""
        versions = {"numpy": np.__version__, "pillow": PIL.__version__}
        return {"features": "a function of one's own", "versions": versions, "sha256": self.fingerprint}

    def embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return float32 (n, d), one row for each image. Raises Refused, in one sentence, if the function fails."""
        with own_faults(f"The encoder {self.identity} failed with"):
            returned = self.function(list(images))
            with np.errstate(over="ignore"):  # what is not finite is refused where it would be stored
                rows = np.asarray(returned, dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(images) or not rows.shape[1]:
            raise Refused(
                f"The encoder {self.identity} returned an array {rows.shape} for {len(images)} images: return one row "
                "for each image."
            )
        return rows


def own_encoder(spec: EncoderSpec) -> OwnEncoder:
    """Return the encoder of a spec of the kind "own". Raises Refused if this machine does not know its name."""
    if spec.preparation != "pil":
        raise Refused(f"The encoder {spec.checkpoint} is a function, which prepares its images: leave preparation out.")
    found = known_function(spec.checkpoint, group=GROUP, table=ENCODERS)
    if found is None:
        raise Refused(
            f"This machine knows no encoder {spec.checkpoint}: install it as an entry point of {GROUP}, or list it "
            f"under [{ENCODERS}] in the file that OWN_METRICS_FILE names."
        )
    return _described(spec, found)


def encoder_in_file(place: str) -> OwnEncoder:
    """Return the encoder of a place like "/encoders/mine.py:encode". The file's code runs here."""
    found = function_in_file(place)
    return _described(EncoderSpec(kind=OWN_ENCODER, checkpoint=place.rpartition(":")[2]), found)


def _described(spec: EncoderSpec, found: OwnFunction) -> OwnEncoder:
    takes = parameter_of(found.function)
    if takes != "images":
        raise Refused(f"The encoder {spec.identity} takes {takes or 'nothing'}: call its one parameter images.")
    return OwnEncoder(spec, found.function, found.sha256)
