"""The training pictures with their captions: drawn once and cached as arrays in the work folder."""

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from miniatures.progress import with_progress
from miniatures.renderer import SIDE, render
from miniatures.scenes import DAB_STYLE, draw_description, imagine

_SHARD = 500


@dataclass(frozen=True, slots=True)
class Corpus:
    """Pictures (n, SIDE, SIDE, 3) uint8 and their n captions."""

    pictures: NDArray[np.uint8]
    captions: tuple[str, ...]


def load_corpus(folder: Path, *, name: str, count: int, seed: int, dabs: float) -> Corpus:
    """Return the corpus `name` of `count` pictures, the share `dabs` in the LoRA's style; drawn if missing."""
    path = folder / f"{name}-{count}-{seed}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pictures, captions = _draw(name, count, seed, dabs)
        part = path.with_suffix(".part.npz")
        np.savez(part, pictures=pictures, captions=np.array(captions))
        part.replace(path)
    with np.load(path) as stored:
        return Corpus(stored["pictures"], tuple(stored["captions"].tolist()))


def _draw(name: str, count: int, seed: int, dabs: float) -> tuple[NDArray[np.uint8], list[str]]:
    shards = [(seed * 100_003 + start, min(_SHARD, count - start), dabs) for start in range(0, count, _SHARD)]
    with ProcessPoolExecutor() as pool:
        results = list(with_progress(pool.map(_draw_shard, shards), f"drawing-{name}", len(shards)))
    return np.concatenate([pictures for pictures, _ in results]), [text for _, texts in results for text in texts]


def _draw_shard(shard: tuple[int, int, float]) -> tuple[NDArray[np.uint8], list[str]]:
    seed, count, dabs = shard
    rng = random.Random(seed)
    pictures = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    captions = []
    for index in range(count):
        description = draw_description(rng)
        is_dabbed = rng.random() < dabs
        pictures[index] = np.asarray(render(imagine(description, rng, style=DAB_STYLE if is_dabbed else None)))
        captions.append(description.caption(trigger=is_dabbed))
    return pictures, captions


def join(one: Corpus, other: Corpus) -> Corpus:
    """Concatenate two corpora."""
    return Corpus(np.concatenate([one.pictures, other.pictures]), one.captions + other.captions)
