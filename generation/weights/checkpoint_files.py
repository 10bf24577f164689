"""Decide which files of a diffusers checkpoint are used. The only place that decides it; pure.

What is fetched, hashed and loaded follows from the decision made here from `model_index.json`: for each component its
small files and one set of weights. Everything else of a repository (pickled weights, ONNX and Flax exports, a second
VAE, a copy of the whole model in one file) is neither fetched nor read.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol

from jobs.refusals import Refused

INDEX = "model_index.json"
PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")  # whose classes a checkpoint may name
SMALL_FILES = (".json", ".txt", ".model", ".jinja")  # configurations and vocabularies; never code
_WEIGHTS = re.compile(
    r"(?P<stem>diffusion_pytorch_model|model)"
    r"(?:\.(?P<variant>[A-Za-z0-9_]+?))?(?P<shard>-\d{5}-of-\d{5})?(?:\.(?P<later_variant>[A-Za-z0-9_]+))?\.safetensors"
)
_SHARD_INDEX = re.compile(
    r"(?P<stem>diffusion_pytorch_model|model)(?:\.(?P<early_variant>[A-Za-z0-9_]+))?"
    r"\.safetensors\.index(?:\.(?P<variant>[A-Za-z0-9_]+))?\.json"
)


class Listing(Protocol):
    """The files of a checkpoint: of a local folder, or of a repository of the hub."""

    @property
    def name(self) -> str:
        """The name of the checkpoint in messages."""

    @property
    def is_whole(self) -> bool:
        """Whether the names are all that the checkpoint has, not only what was fetched of it."""

    def names(self) -> Iterable[str]:
        """Return the paths of all files, relative to the checkpoint, with slashes."""

    def read(self, name: str) -> str:
        """Return the text of a small file."""


@dataclass(frozen=True)
class Component:
    """The used files of one component, by their paths below the checkpoint."""

    name: str
    small_files: tuple[str, ...]
    weights: tuple[str, ...] = ()
    shard_index: str = ""
    variant: str = ""

    @property
    def links(self) -> dict[str, str]:
        """The path under which the libraries look for each file, without the variant, and the file itself."""
        links = {name: name for name in self.small_files}
        if self.shard_index:
            links |= {name: name for name in self.weights}
            stem = _matched(_SHARD_INDEX, self.shard_index)["stem"]
            return links | {f"{self.name}/{stem}.safetensors.index.json": self.shard_index}
        return links | {f"{self.name}/{_matched(_WEIGHTS, name)['stem']}.safetensors": name for name in self.weights}


@dataclass(frozen=True)
class CheckpointFiles:
    """The used files of a checkpoint, and its index."""

    index: dict[str, Any]
    components: tuple[Component, ...] = field(default=())

    @property
    def weights(self) -> tuple[str, ...]:
        """The files of weights, which the weights' hash covers."""
        return tuple(name for component in self.components for name in component.weights)

    @property
    def small_files(self) -> tuple[str, ...]:
        """The configurations and vocabularies, which the configuration's hash covers."""
        indexes = tuple(component.shard_index for component in self.components if component.shard_index)
        return (INDEX, *(name for component in self.components for name in component.small_files), *indexes)

    @property
    def links(self) -> dict[str, str]:
        """Each used file by the path under which the libraries look for it."""
        return {INDEX: INDEX} | {path: name for component in self.components for path, name in component.links.items()}

    @property
    def variant(self) -> str:
        """The variant that was taken, such as fp16; empty for plain files."""
        return next((component.variant for component in self.components if component.variant), "")


def choose(listing: Listing, *, variant: str, owner: str) -> CheckpointFiles:
    """Return the files that are used.

    With a `variant`, a component that has no such files gives its plain ones, as in diffusers. Without one, plain files
    are used; a component that has no plain files gives its only variant. Half precision never decides this: rounding
    the plain weights to bfloat16 differs from rounding their float16 variant, and a study that goes on must go on with
    the same weights.

    Raises Refused for a missing index, component or shard, weights that are not safetensors, custom code, and a
    variant that no component has.
    """
    index = read_index(listing, owner=owner)
    folders: dict[str, list[str]] = {}
    for name in listing.names():
        folder, _, leaf = name.rpartition("/")
        folders.setdefault(folder, []).append(leaf)
    components = tuple(
        _component(listing, name, library, kind, sorted(folders.get(name, ())), variant=variant, owner=owner)
        for name, library, kind in component_classes(index, listing.name, owner=owner)
    )
    if variant and not any(component.variant == variant for component in components):
        others = sorted({found for name, leaves in folders.items() for found in _variants(leaves) if found and name})
        there = f"it has {', '.join(others)}" if others else "it has plain files only"
        raise Refused(
            f'{owner}: {listing.name} has no variant "{variant}" ({there}); correct variant, or leave it out.'
        )
    return CheckpointFiles(index, components)


def read_index(listing: Listing, *, owner: str) -> dict[str, Any]:
    """Return the checkpoint's model_index.json. Raises Refused if it describes no diffusers pipeline."""
    if INDEX not in listing.names():
        raise Refused(f"{owner}: {listing.name} holds no {INDEX}, so it is not a diffusers checkpoint.")
    document = _json(listing, INDEX, owner=owner)
    if not isinstance(document, dict) or not isinstance(document.get("_class_name"), str):
        raise Refused(f"{owner}: {listing.name}/{INDEX} names no pipeline class of diffusers.")
    return document


def component_classes(index: Mapping[str, Any], checkpoint: str, *, owner: str) -> list[tuple[str, str, str]]:
    """Return name, library and class of each component. Raises Refused for code of the checkpoint's own."""
    found = []
    for name, value in sorted(index.items()):
        if name.startswith("_") or not isinstance(value, list) or not value or value[0] is None:
            continue
        if not name.isidentifier():  # it would be a path
            raise Refused(f"{owner}: {checkpoint}/{INDEX} names a component {name[:100]!r}, which is no name of one.")
        library, kind = str(value[0]), str(value[1]) if len(value) > 1 else ""
        if library not in LIBRARIES:
            raise Refused(
                f"{owner}: the component {name} of {checkpoint} is code of its own ({library}), never loaded."
            )
        found.append((name, library, kind))
    return found


def _component(
    listing: Listing, name: str, library: str, kind: str, leaves: list[str], *, variant: str, owner: str
) -> Component:
    if not leaves:
        raise Refused(f"{owner}: the component {name} is missing in {listing.name}.")
    small = tuple(
        f"{name}/{leaf}"
        for leaf in leaves
        if PurePosixPath(leaf).suffix in SMALL_FILES and ".index." not in leaf and not leaf.startswith(".")
    )
    taken = _taken_variant(leaves, variant=variant, may_be_other=listing.is_whole)
    if taken is None:
        _refuse_without_weights(listing, name, leaves, needs=_has_weights(kind, leaves), owner=owner)
        return Component(name, small)
    shards = [leaf for leaf in leaves if _variant_of(leaf) == taken and _matched(_WEIGHTS, leaf)["shard"]]
    single = [leaf for leaf in leaves if _variant_of(leaf) == taken and not _matched(_WEIGHTS, leaf)["shard"]]
    if single:
        return Component(name, small, (f"{name}/{_preferred(single, library)}",), variant=taken)
    index = next((leaf for leaf in leaves if _index_variant(leaf) == taken), "")
    if not index:
        raise Refused(
            f"{owner}: {listing.name}/{name} holds {shards[0]} but no index of its shards (*.safetensors.index.json)."
        )
    return Component(name, small, _shards(listing, f"{name}/{index}", leaves, owner=owner), f"{name}/{index}", taken)


def _shards(listing: Listing, index: str, leaves: list[str], *, owner: str) -> tuple[str, ...]:
    """Return the files that an index of shards names. Raises Refused if one is missing."""
    document = _json(listing, index, owner=owner)
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise Refused(f"{owner}: {listing.name}/{index} names no shards.")
    folder = index.rpartition("/")[0]
    named = sorted({str(leaf) for leaf in weight_map.values()})
    for leaf in named:
        if leaf not in leaves:
            raise Refused(
                f"{owner}: the shard {leaf} is missing in {listing.name}/{folder}, where {index} names "
                f"{len(named)} shards: fetch or copy it again."
            )
        if not leaf.endswith(".safetensors"):
            raise Refused(f"{owner}: {listing.name}/{index} names {leaf}: weights are read as safetensors only.")
    return tuple(f"{folder}/{leaf}" for leaf in named)


def _taken_variant(leaves: list[str], *, variant: str, may_be_other: bool) -> str | None:
    """Return the variant whose weights are used, "" for plain ones; None if there are no weights to use."""
    found = _variants(leaves)
    for wanted in (variant, ""):
        if wanted in found:
            return wanted
    return found[0] if len(found) == 1 and may_be_other and not variant else None


def _variants(leaves: Iterable[str]) -> list[str]:
    return sorted({found for leaf in leaves if (found := _variant_of(leaf)) is not None})


def _variant_of(leaf: str) -> str | None:
    """Return the variant of a file of weights, "" for a plain one; None for another file."""
    match = _WEIGHTS.fullmatch(leaf)
    return (match["variant"] or match["later_variant"] or "") if match else None


def _index_variant(leaf: str) -> str | None:
    match = _SHARD_INDEX.fullmatch(leaf)
    return (match["variant"] or match["early_variant"] or "") if match else None


def _preferred(single: list[str], library: str) -> str:
    """Return the file that the component's library reads, if two names are there."""
    stem = "diffusion_pytorch_model" if library == "diffusers" else "model"
    return next((leaf for leaf in single if leaf.startswith(stem)), single[0])


def _has_weights(kind: str, leaves: list[str]) -> bool:
    return "config.json" in leaves and not kind.endswith(("Tokenizer", "TokenizerFast", "Processor", "Scheduler"))


def _refuse_without_weights(listing: Listing, name: str, leaves: list[str], *, needs: bool, owner: str) -> None:
    place, found = f"{listing.name}/{name}", _variants(leaves)
    if found:
        choice = ", ".join(f'"{one}"' for one in found)
        raise Refused(f"{owner}: {place} holds no plain weights but the variants {choice}; name one as variant.")
    pickled = [leaf for leaf in leaves if PurePosixPath(leaf).suffix in PICKLED]
    if pickled:
        raise Refused(f"{owner}: {place}/{pickled[0]} is refused: weights are read as safetensors only, so convert it.")
    if needs:
        raise Refused(f"{owner}: {place} holds no weights (*.safetensors).")


def _matched(pattern: re.Pattern[str], path: str) -> re.Match[str]:
    match = pattern.fullmatch(path.rpartition("/")[2])
    if match is None:
        raise ValueError(f"{path} is no file of weights")
    return match


def _json(listing: Listing, name: str, *, owner: str) -> Any:
    try:
        return json.loads(listing.read(name))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{owner}: {listing.name}/{name} is not JSON ({error}).") from None
