"""Decide which files of a LoRA are used: its weights, learned embeddings and the map of its words. Pure.

LoRAs that were trained with pivotal tuning, as the paper's was, consist of more than their weights. Two layouts are
known: Replicate's SDXL trainer writes `lora.safetensors`, `embeddings.pti` (safetensors inside) and
`special_params.json` (the map of words to tokens); diffusers' advanced trainers write `*_emb.safetensors`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from generation.weights.checkpoint_files import PICKLED, Listing
from jobs.refusals import Refused

USUAL = ("pytorch_lora_weights.safetensors", "lora.safetensors")
LEARNED = "embeddings.pti"
TOKEN_MAP = "special_params.json"  # noqa: S105 - tokens of a tokenizer


@dataclass(frozen=True)
class LoraFiles:
    """The used files of a LoRA, by their paths below its folder; empty for what it does not have."""

    weights: str
    embeddings: str = ""
    token_map: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """Every used file."""
        return tuple(name for name in (self.weights, self.embeddings, self.token_map) if name)


def choose_lora(listing: Listing, *, file: str, owner: str) -> LoraFiles:
    """Return the used files of a LoRA; `file` names its weights, "" takes the usual name or the only file.

    Raises Refused if there is no such file, if several could be meant, or if its weights are pickled.
    """
    weights = _weights(listing, file, owner=owner)
    folder = weights.rpartition("/")[0]
    beside = {name.rpartition("/")[2]: name for name in sorted(listing.names()) if name.rpartition("/")[0] == folder}
    return LoraFiles(
        weights,
        embeddings=_embeddings(listing, weights, beside, is_named=bool(file), owner=owner),
        token_map=beside.get(TOKEN_MAP, ""),
    )


def read_token_map(listing: Listing, name: str, *, owner: str) -> dict[str, str]:
    """Return which tokens stand for which word of a prompt. Raises Refused if the file says something else."""
    try:
        words = json.loads(listing.read(name))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{owner}: {listing.name}/{name} is not JSON ({error}).") from None
    if (
        not isinstance(words, dict)
        or not words
        or not all(isinstance(value, str) and value and key.strip() for key, value in words.items())
    ):
        raise Refused(
            f"{owner}: {listing.name}/{name} does not say which tokens stand for which word, "
            'like {"TOK": "<s0><s1>"}.'
        )
    return {str(word): str(tokens) for word, tokens in words.items()}


def _weights(listing: Listing, file: str, *, owner: str) -> str:
    names = sorted(listing.names())
    if file:
        if file not in names:
            there = ", ".join(_candidates(names)) or "none"
            raise Refused(f"{owner}: the LoRA {listing.name} has no file {file}; its files of weights: {there}.")
        if PurePosixPath(file).suffix != ".safetensors":
            raise Refused(f"{owner}: the LoRA {file} is refused: weights are read as safetensors only.")
        return file
    candidates = _candidates(name for name in names if "/" not in name)
    if usual := next((name for name in USUAL if name in candidates), ""):
        return usual
    if not candidates:
        pickled = [name for name in names if PurePosixPath(name).suffix in PICKLED and "/" not in name]
        found = f" ({pickled[0]} is refused: weights are read as safetensors only)" if pickled else ""
        raise Refused(f"{owner}: the LoRA folder {listing.name} holds no safetensors file{found}.")
    if len(candidates) > 1:
        raise Refused(
            f"{owner}: the LoRA folder {listing.name} holds {len(candidates)} safetensors files; "
            f"name one as lora_file ({', '.join(candidates)})."
        )
    return candidates[0]


def _candidates(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.endswith(".safetensors") and not _is_embeddings(name)]


def _is_embeddings(name: str) -> bool:
    leaf = name.rpartition("/")[2]
    return leaf == "embeddings.safetensors" or leaf.endswith("_emb.safetensors")


def _embeddings(listing: Listing, weights: str, beside: Mapping[str, str], *, is_named: bool, owner: str) -> str:
    """Return the learned embeddings that belong to the weights; of a folder of many LoRAs, those of the same name."""
    stem = PurePosixPath(weights).stem
    if own := beside.get(f"{stem}_emb.safetensors"):
        return own
    if LEARNED in beside:
        return beside[LEARNED]
    if is_named and PurePosixPath(weights).name not in USUAL:
        return ""  # other files of the folder may belong to other LoRAs
    found = [name for leaf, name in beside.items() if _is_embeddings(leaf)]
    if len(found) > 1:
        raise Refused(
            f"{owner}: the LoRA folder {listing.name} holds {len(found)} files of embeddings ({', '.join(found)}); "
            f"keep the one that belongs to {weights}, or call it {stem}_emb.safetensors."
        )
    return found[0] if found else ""
