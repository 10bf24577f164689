"""Check a model on a worker's host without loading it: its files, their hash and size, its class and licence.

A check is a `ModelTrial` without sampling parameters: a leased job, of which the latest outcome is kept for each model.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from generation.hub.wanted import checkpoint_at_hand, lora_at_hand
from generation.machines.workers import this_card
from generation.models import DiffusionModel, GeneratedImage, ModelTrial
from generation.weights.file_hashes import sha256_of
from jobs.refusals import Refused

State = ModelTrial.State
_FRONT_MATTER = re.compile(r"\A---\s*\n(?P<lines>.*?)\n---", re.DOTALL)
_LINE = re.compile(r"^(?P<key>license|license_name):\s*[\"']?(?P<value>[^\"'\n#]+)", re.MULTILINE)
LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "LICENCE.txt")
MOST_LETTERS = 100
_READ_BYTES = 20_000  # of a model card or licence, whose beginning says what is asked here


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of a check. byte_count: of the used files. The hashes are those that are recorded with each image.

    licence: as the checkpoint's own files state it; empty if they do not.
    """

    pipeline: str
    weights_sha256: str
    lora_sha256: str
    byte_count: int
    licence: str
    host: str


def planned_check(model: DiffusionModel) -> ModelTrial:
    """Return the job that checks a model, created if missing."""
    key = hashlib.sha256(json.dumps(["check", model.pk]).encode()).hexdigest()
    defaults: dict[str, Any] = {"diffusion_model": model, "prompt": "", "parameters": {}}
    return ModelTrial.objects.get_or_create(fingerprint=key, defaults=defaults)[0]


def inspection_of(trial: ModelTrial) -> Inspection | None:
    """Return what a check found; None if it is not done, or is no check."""
    is_done = trial.state == State.DONE and not trial.parameters and trial.outcome
    return Inspection(**trial.outcome) if is_done else None


def inspect(model: DiffusionModel, check: Callable[[], None]) -> Inspection:
    """Return what the files of a model on this host are. Raises Refused, naming the file, if they cannot be used.

    Raises Refused too if the weights are not those with which the model's latest image was made.
    """
    folder, files = checkpoint_at_hand(model)
    check()
    weights = [folder / name for name in files.weights]
    sha256 = sha256_of(weights, root=folder)
    check()
    used = [*weights, *(folder / name for name in files.small_files)]
    lora_sha256 = ""
    if model.lora:
        listing, lora = lora_at_hand(model)
        file = listing.folder / lora.weights
        lora_sha256 = sha256_of([file], root=file.parent)
        used += [listing.folder / name for name in lora.all]
    _refuse_other_weights(model, sha256)
    return Inspection(
        pipeline=str(files.index["_class_name"]),
        weights_sha256=sha256,
        lora_sha256=lora_sha256,
        byte_count=sum(file.stat().st_size for file in used),
        licence=licence_of(folder),
        host=this_card().host,
    )


def _refuse_other_weights(model: DiffusionModel, sha256: str) -> None:
    images = GeneratedImage.objects.filter(image_set__diffusion_model=model, image_set__origin="generated")
    latest = images.order_by("-pk").values_list("provenance", flat=True).first() or {}
    made_with = latest.get("weights_sha256", "")
    if made_with and made_with != sha256:
        raise Refused(
            f"{model.name}: the weights on {this_card().host} ({sha256[:12]}) are not those that made its latest image "
            f"({made_with[:12]}): restore the checkpoint's files, or register the new ones under another name."
        )


def record_inspection(trial: ModelTrial, found: Inspection) -> None:
    """Store what a check found."""
    ModelTrial.objects.filter(pk=trial.pk, claimed_by=trial.claimed_by).update(outcome=asdict(found))


# --- the licence that a checkpoint's own files state --------------------------------------------
def licence_of(folder: Path) -> str:
    """Return the licence that a folder's model card names, or the first line of its licence file; empty if neither.

    The name in a card's front matter is the hub's, such as `openrail++`; `other` gives way to `license_name`.
    """
    named = {found["key"]: found["value"].strip() for found in _LINE.finditer(_front_matter(folder))}
    name = named.get("license", "")
    if name in ("", "other"):
        name = named.get("license_name", "") or name
    return (name or _first_line(folder))[:MOST_LETTERS]


def _front_matter(folder: Path) -> str:
    found = _FRONT_MATTER.match(_beginning(folder / "README.md"))
    return found["lines"] if found else ""


def _first_line(folder: Path) -> str:
    lines = (line.strip("# \t\r") for name in LICENCE_FILES for line in _beginning(folder / name).split("\n"))
    return next((line for line in lines if line), "")


def _beginning(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_READ_BYTES).decode(errors="replace")
    except OSError:
        return ""
