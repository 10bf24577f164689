"""Find an encoder's files, check them against the spec, and hash them. Loads no weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from generation.hub.answers import FetchPostponed
from generation.hub.cache import snapshot
from generation.hub.fetches import Need
from generation.hub.fetching import fetch, plan_fetch
from generation.hub.wanted import Wanted, is_fetched
from generation.models import GeneratedImage
from generation.weights.checkpoint_files import Listing
from generation.weights.checkpoints import LocalListing, local_path, on_disk
from generation.weights.file_hashes import sha256_of
from jobs.refusals import Refused
from jobs.wording import first_line
from scoring.encoder_spec import OWN_ENCODER, ComparerSpec, EncoderSpec, source_of
from scoring.models import ScoringJob

CONFIGURATION = "config.json"
OWNER = "The image encoder"
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")  # either says how images are prepared
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"  # of weights in several files


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An encoder's files: their folder, the architecture that its configuration names, and their hash.

    The hash covers everything that determines an embedding (weights, configuration, preprocessing), but neither the
    folder's name nor other files in it.
    """

    folder: Path
    model_type: str
    fingerprint: str


def find_checkpoint(spec: EncoderSpec) -> Checkpoint:
    """Find the files of an encoder in its local folder, in the hub's local cache, or on the hub.

    Raises Refused for a missing folder, a hub id that is not pinned or cannot be reached, weights that are not
    safetensors, and missing or unreadable files.
    """
    folder = _folder(spec)
    files = [
        _present(folder, CONFIGURATION),
        *(folder / name for name in _processor_files(folder)),
        *_weights(folder),
    ]
    model_type = str(_read_json(folder / CONFIGURATION).get("model_type", ""))
    return Checkpoint(folder, model_type, sha256_of(files, root=folder))


def find_comparer(spec: ComparerSpec) -> Checkpoint:
    """Find the files of what compares two images in its local folder. Raises Refused if one is missing."""
    folder = on_disk(spec.checkpoint)
    if folder is None:
        raise Refused(f"There is no folder {spec.checkpoint} on this machine, from which {spec.kind} is loaded.")
    folder = folder.resolve()
    files = [_present(folder, CONFIGURATION), _present(folder, WEIGHTS)]
    model_type = str(_read_json(folder / CONFIGURATION).get("model_type", ""))
    return Checkpoint(folder, model_type, sha256_of(files, root=folder))


def wanted_encoder(spec: EncoderSpec) -> Wanted | None:
    """Return what an encoder needs of the hub; None if it is a local folder, or a function of one's own.

    Raises Refused if it is not pinned.
    """
    if spec.kind == OWN_ENCODER:
        return None
    if local_path(spec.checkpoint, revision=spec.revision, owner=OWNER) is not None:
        return None
    return Wanted(spec.checkpoint, spec.revision, "", _used_files, OWNER)


def encoder_needs() -> list[Need]:
    """Return the encoders of queued scoring jobs that are not on this host."""
    queued = ScoringJob.objects.filter(state=ScoringJob.State.QUEUED).order_by()
    needs = []
    for metric, document in queued.values_list("metric", "encoder").distinct():
        spec = source_of(document)
        if not isinstance(spec, EncoderSpec):  # a metric of the images themselves, or one of a local folder
            continue
        wanted = None if is_encoder_at_hand(spec) else wanted_encoder(spec)
        if wanted is not None:
            jobs = needing_encoder(queued.filter(metric=metric), spec)
            needs += [Need([wanted], jobs)] if jobs.exists() else []
    return needs


def needing_encoder(jobs: QuerySet[ScoringJob], spec: EncoderSpec) -> QuerySet[ScoringJob]:
    """Return those of an encoder's jobs that load it: all but those of further metrics of stored embeddings."""
    images = GeneratedImage.objects.filter(image_set=OuterRef("image_set"))
    lacking = images.exclude(embeddings__encoder__identity=spec.identity)
    return jobs.filter(Q(metric=spec.metric) | Exists(lacking))


def is_encoder_at_hand(spec: EncoderSpec) -> bool:
    """Return whether no file of an encoder needs to be fetched. One that cannot be used counts as at hand."""
    try:
        wanted = wanted_encoder(spec)
    except Refused:
        return True
    return wanted is None or is_fetched(wanted)


def _used_files(listing: Listing) -> list[str]:
    names = set(listing.names())
    if WEIGHTS in names:
        weights = [WEIGHTS]
    elif WEIGHTS_INDEX in names:
        weights = [WEIGHTS_INDEX, *_shards(listing)]
    else:
        weights = [WEIGHTS]
    processors = [name for name in PROCESSOR_FILES if name in names] or [PROCESSOR_FILES[0]]
    used = [CONFIGURATION, *processors, *weights]
    if lacking := [name for name in used if name not in names]:
        raise Refused(f"{listing.name} holds no {lacking[0]}: it is not a whole encoder in safetensors.")
    return used


def _shards(listing: Listing) -> list[str]:
    try:
        index = json.loads(listing.read(WEIGHTS_INDEX))
        return sorted({Path(str(name)).name for name in index["weight_map"].values()})
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{listing.name}/{WEIGHTS_INDEX} names no files of weights.") from None


def _folder(spec: EncoderSpec) -> Path:
    wanted = wanted_encoder(spec)
    if wanted is None:
        if spec.revision:
            raise Refused(f"{spec.checkpoint} is a local folder, which has no revision: leave the revision out.")
        return Path(spec.checkpoint).expanduser().resolve()
    if not is_fetched(wanted):
        try:
            fetch(plan_fetch(wanted), report=lambda _here, _total: None)
        except FetchPostponed as fault:
            raise Refused(str(fault)) from fault
    return snapshot(wanted.repository, wanted.revision)


def _has_processor(folder: Path) -> bool:
    return any((folder / name).exists() for name in PROCESSOR_FILES)


def _processor_files(folder: Path) -> list[str]:
    if not _has_processor(folder):
        raise Refused(f"{folder} holds no {PROCESSOR_FILES[0]}, which says how images are prepared: add it.")
    return [name for name in PROCESSOR_FILES if (folder / name).exists()]


def _weights(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / WEIGHTS_INDEX).exists():
        return [folder / WEIGHTS_INDEX, *(_present(folder, name) for name in _shards(LocalListing(folder)))]
    raise Refused(f"{folder} holds no {WEIGHTS}: weights are read as safetensors only, so convert them first.")


def _present(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise Refused(f"{folder} holds no {name}: it is not a whole checkpoint.")
    return folder / name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{path} cannot be read as JSON: {first_line(error)}.") from error
    if not isinstance(content, dict):
        raise Refused(f"{path} does not hold a JSON object.")
    return content
