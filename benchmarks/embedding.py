"""Embedding the images of a set: as a worker does it, prepared by PIL or on tensors, and as a plain loop does.

    python -m benchmarks.embedding [--images 200] [--pixels 768] [--rounds 3] [--checkpoint FOLDER]

Each arm reads the same PNG files and embeds them, in turn, round by round; the fastest round counts. The plain loop
opens, prepares and embeds one image after the other. CPU time is printed beside the clock's, because other programs may
share the cores. The scores must agree: that of the loop to 1e-4, that on tensors to 1e-3.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from generation.models import GeneratedImage
    from scoring.encoder_spec import ImageEncoder

MINIATURE = Path(__file__).parent.parent / "miniatures" / "weights" / "mini-clip"
TOLERANCES = {"plain loop": 1e-4, "worker, PIL": 0.0, "worker, tensors": 1e-3}

Embed = Callable[[], NDArray[np.float32]]


@dataclass(slots=True)
class Arm:
    """A way of embedding, its fastest round in seconds of the clock and of the processor, and the score it gave."""

    embed: Embed
    wall: float = float("inf")
    processor: float = float("inf")
    score: float = 0.0


def pictures(folder: Path, count: int, pixels: int) -> list[str]:
    """Write PNG files of coloured clouds with grain, as large as those of photographs; return their names."""
    rng, names = np.random.default_rng(1), []
    for number in range(count):
        clouds = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        smooth = np.asarray(clouds.resize((pixels, pixels), Image.Resampling.BICUBIC), dtype=np.float32)
        grainy = smooth + rng.normal(0, 6, smooth.shape).astype(np.float32)
        file = BytesIO()
        Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(file, "PNG")
        names.append(f"{number}.png")
        (folder / names[-1]).write_bytes(file.getvalue())
    return names


def plain_loop(folder: Path, names: Sequence[str], encoder: Any) -> Embed:
    """Return the loop that a script has: one image after the other, with the same model and processor."""
    import torch

    def embed() -> NDArray[np.float32]:
        rows = []
        for name in names:
            with Image.open(folder / name) as image, torch.inference_mode():
                pixels = encoder._processor(images=[image.convert("RGB")], return_tensors="pt")["pixel_values"]
                rows.append(encoder._model.get_image_features(pixel_values=pixels).pooler_output.numpy())
        return np.concatenate(rows)

    return embed


def as_a_worker(images: "Sequence[GeneratedImage]", encoder: "ImageEncoder") -> Embed:
    """Return what `scoring.embeddings.embed_set` does, without the database."""
    from generation.pictures.files import opened_in_chunks
    from scoring.embeddings import CHUNK_SIZE

    return lambda: np.concatenate([encoder.embed(opened) for _, opened in opened_in_chunks(images, CHUNK_SIZE)])


def measure(arms: dict[str, Arm], rounds: int) -> None:
    """Run the arms in turn, and keep the fastest round of each."""
    from scoring.consistency import semantic_consistency_score

    for _ in range(rounds):
        for arm in arms.values():
            wall, processor = time.perf_counter(), time.process_time()
            embeddings = arm.embed()
            arm.wall = min(arm.wall, time.perf_counter() - wall)
            arm.processor = min(arm.processor, time.process_time() - processor)
            arm.score = semantic_consistency_score(embeddings)


def main() -> None:
    """Measure, check that the scores agree, print one line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding", description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--pixels", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoint", type=Path, default=MINIATURE, help="of a CLIP; default: the miniature")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-embedding-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "SEMBLANCE_VAR": folder}
        import django

        django.setup()
        _run(options)


def _run(options: argparse.Namespace) -> None:
    from django.conf import settings

    from generation.models import GeneratedImage
    from scoring.encoder_spec import PREPARATIONS, EncoderSpec
    from scoring.encoders import loading

    media = Path(settings.MEDIA_ROOT)
    media.mkdir(parents=True, exist_ok=True)
    names = pictures(media, options.images, options.pixels)
    images = [GeneratedImage(path=name) for name in names]
    by = {}
    for way in PREPARATIONS:
        loading.load.cache_clear()
        by[way] = loading.load(EncoderSpec(checkpoint=str(options.checkpoint.resolve()), preparation=way))
    arms = {
        "plain loop": Arm(plain_loop(media, names, by["pil"])),
        "worker, PIL": Arm(as_a_worker(images, by["pil"])),
        "worker, tensors": Arm(as_a_worker(images, by["tensor"])),
    }
    measure(arms, options.rounds)
    print(f"{options.images} images of {options.pixels} px, {len(os.sched_getaffinity(0))} cores, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}; per 1,000 images:")
    loop, usual = arms["plain loop"], arms["worker, PIL"].score
    for name, arm in arms.items():
        if abs(arm.score - usual) > TOLERANCES[name]:
            raise SystemExit(f"{name} gives the score {arm.score}, not {usual}")
        seconds = (1000 / options.images * one for one in (arm.wall, arm.processor))
        print("{:16} {:6.1f} s, CPU {:6.1f} s".format(name, *seconds), end="")
        print(f"   {loop.wall / arm.wall:4.2f} times as fast   score {arm.score:.6f}")


if __name__ == "__main__":
    main()
