"""A stand-in for a graphics card, which shows on a CPU how long a fast card would wait for its host.

It computes an image of 768 px in 0.19 s, as an H100 would, and each step holds the interpreter's lock as long as a step
of SDXL's denoiser takes with all its layers and hardly any channels, which is its launches and a little more.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.generation.arms import SET_SIZE, Bench
from benchmarks.generation.stage_times import print_stage_times, stage_times
from benchmarks.generation.stages import SIDE, picture

SECONDS_AN_IMAGE = 0.19
BYTES_A_SECOND = 6e9  # from a card into memory that is not pinned, by estimate
# The layers of the denoiser of SDXL, from its public configuration, with a tenth of its channels.
SDXL_UNET = {
    "sample_size": 8,
    "block_out_channels": (32, 64, 128),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (1, 2, 4),
    "cross_attention_dim": 64,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 112,
    "use_linear_projection": True,
}


class Card:
    """A stand-in for a graphics card, and when it computed."""

    def __init__(self, launch_seconds: float, slower: float) -> None:
        self._launch_seconds = launch_seconds
        self._image_seconds = SECONDS_AN_IMAGE * slower
        self._picture = picture()
        self.began = 0.0
        self.free_at = 0.0
        self.busy_seconds = 0.0
        self.gaps: list[float] = []  # seconds between two batches

    def run(self, loaded: Any, order: Any, seeds: Sequence[int], check: Callable[[], None]) -> Any:
        """Take the place of the pipeline's call."""
        from generation.sampling import sampling

        steps = order.parameters.num_inference_steps
        work = self._image_seconds * len(seeds) / steps
        for step in range(steps):
            now = time.perf_counter()
            if step == 0:
                self._note_start(now)
            self._launch()
            # The card begins with the first kernel of a step, and ends after its last one was launched.
            self.free_at = max(max(self.free_at, now) + work, time.perf_counter())
            self.busy_seconds += work
            check()
        pixels = self._pixels(seeds)  # the thread waits for the card meanwhile
        time.sleep(max(0.0, self.free_at - time.perf_counter()))
        time.sleep(pixels.nbytes / BYTES_A_SECOND)  # from the card's memory; the card does not compute
        sampling._check_output(loaded, SimpleNamespace(images=pixels), order, seeds)
        return pixels

    def idle_share(self, until: float) -> float:
        """Return the share of the time between the first launch and `until` in which it did not compute."""
        return 1 - self.busy_seconds / (until - self.began)

    def _note_start(self, now: float) -> None:
        if not self.began:
            self.began = self.free_at = now
        else:
            self.gaps.append(now - self.free_at)

    def _launch(self) -> None:
        end = time.thread_time() + self._launch_seconds
        while time.thread_time() < end:  # holds the interpreter's lock
            pass

    def _pixels(self, seeds: Sequence[int]) -> Any:
        import numpy as np

        pixels = np.empty((len(seeds), *self._picture.shape), np.float32)
        for image, seed in zip(pixels, seeds, strict=True):
            image[:] = np.roll(self._picture, seed, axis=1)
        return pixels


def launch_seconds() -> float:
    """Return about the CPU time in which this machine launches one step of SDXL's denoiser: the least of six."""
    import torch
    from diffusers import UNet2DConditionModel

    denoiser = cast(Any, UNet2DConditionModel).from_config(SDXL_UNET).eval()
    extra = {"text_embeds": torch.zeros(1, 64), "time_ids": torch.zeros(1, 6)}
    taken = []
    with torch.no_grad():
        for _ in range(6):
            began = time.thread_time()
            denoiser(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 4, 64), added_cond_kwargs=extra)
            taken.append(time.thread_time() - began)
    return min(taken)


def print_idle_share(bench: Bench, job_count: int, launch: float, slower: float) -> None:
    """Let a worker make images on the card's stand-in, and print how long the card waited.

    slower: by how much the card is slower than an H100. On a machine that gives this process a sixth of a core, a card
    that is six times slower waits as long as an H100 would beside a whole core.
    """
    from generation.sampling import sampling

    parameters = replace(bench.parameters, width=SIDE, height=SIDE, num_inference_steps=20)
    bench.plan([f"a card's prompt {number}" for number in range(job_count)], parameters)
    with _stand_in(sampling, Card(launch, slower)) as card, stage_times() as times:
        bench.work()
        ends = time.perf_counter()
    image_count = job_count * SET_SIZE
    print(f"\nA card's stand-in: {image_count} images of {SIDE} px, {SECONDS_AN_IMAGE * slower:.2f} s each")
    print(f"  the launches of a step hold the interpreter's lock for {launch * 1000:.0f} ms of CPU time")
    for until, words in (
        (card.free_at, "to its last image"),
        (ends, "to the last file, beside which nothing is sampled"),
    ):
        share = card.idle_share(until)
        print(f"  device idle {share:.1%}, {image_count / (until - card.began):.2f} images/s, {words}")
    if card.gaps:
        gaps = ", ".join(f"{gap * 1000:.0f}" for gap in card.gaps)
        print(f"  between two batches it waited {sum(card.gaps) / len(card.gaps) * 1000:.0f} ms: {gaps}")
    print_stage_times(times, image_count)


@contextmanager
def _stand_in(sampling: Any, card: Card) -> Any:
    from generation.sampling import job_row

    row: Any = job_row
    own, overlaps, sizes = sampling._run, row.overlaps, sampling.batch_sizes()
    planned = sizes.planned
    sampling._run, row.overlaps, sizes.planned = card.run, lambda: True, sampling.PLANNED_BATCH["cuda"]
    try:
        yield card
    finally:
        sampling._run, row.overlaps, sizes.planned = own, overlaps, planned
