"""Measure making images: sampling alone, as a worker does it, and as a plain loop does; and how idle a fast card is.

    python -m benchmarks.generation [--rounds 3] [--jobs 4] [--launch-ms MS]

On a CPU, with the miniatures: each arm makes the twenty images of a prompt in turn, round by round. CPU time is printed
beside the clock's, because other programs may share the cores. The bound is sampling alone: a worker cannot be faster.

The card's stand-in replaces the pipeline: it computes an image of 768 px in 0.19 s, as an H100 would, and each step
holds the interpreter's lock as long as a step of SDXL's denoiser takes with all its layers and hardly any channels,
which is its launches and a little more. Everything else is the worker's own code. On a GPU nothing has been run.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parent.parent
WEIGHTS = ROOT / "miniatures" / "weights"
SET_SIZE = 20
SECONDS_AN_IMAGE = 0.19
SIDE = 768
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


@dataclass
class Arm:
    """One way of making images, and what it took."""

    name: str
    make: Callable[[str], None]  # the images of a prompt
    seconds: list[float] = field(default_factory=list)  # of a round, by the clock
    cpu_seconds: list[float] = field(default_factory=list)

    def run(self, prompt: str) -> None:
        """Make the images of one prompt."""
        began, cpu_began = time.perf_counter(), time.process_time()
        self.make(prompt)
        self.seconds.append(time.perf_counter() - began)
        self.cpu_seconds.append(time.process_time() - cpu_began)

    @property
    def cpu(self) -> float:
        """The CPU time of a round."""
        return statistics.median(self.cpu_seconds)


class Card:
    """A stand-in for a graphics card, and when it computed."""

    def __init__(self, launch_seconds: float) -> None:
        self._launch_seconds = launch_seconds
        self._picture = _picture()
        self.began: float | None = None
        self.free_at = 0.0
        self.busy_seconds = 0.0

    def run(self, _loaded: Any, order: Any, seeds: Sequence[int], check: Callable[[], None]) -> Any:
        """Take the place of the pipeline's call."""
        import numpy as np

        steps = order.parameters.num_inference_steps
        for _step in range(steps):
            end = time.perf_counter() + self._launch_seconds
            while time.perf_counter() < end:  # holds the interpreter's lock
                pass
            now = time.perf_counter()
            if self.began is None:
                self.began = self.free_at = now
            work = SECONDS_AN_IMAGE * len(seeds) / steps
            self.free_at = max(self.free_at, now) + work
            self.busy_seconds += work
            check()
        time.sleep(max(0.0, self.free_at - time.perf_counter()))
        return np.stack([np.roll(self._picture, seed, axis=1) for seed in seeds])

    @property
    def idle_share(self) -> float:
        """The share of the time between the first launch and now in which it did not compute."""
        return 1 - self.busy_seconds / (time.perf_counter() - (self.began or 0.0))


def _picture() -> Any:
    """Return smooth noise of 768 px with some grain, which costs an encoder about as much as a photograph."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 255, (48, 48, 3), np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    pixels = np.asarray(coarse, np.float32) / 255 + rng.normal(0, 0.01, (SIDE, SIDE, 3)).astype(np.float32)
    return np.clip(pixels, 0, 1, dtype=np.float32)


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


class Bench:
    """A database and a media folder that are thrown away, and the miniature model."""

    def __init__(self, folder: Path) -> None:
        from generation.models import DiffusionModel
        from generation.plans.parameters import SamplingParameters

        self.folder = folder
        self.model = DiffusionModel.objects.create(name="Mini SDXL", checkpoint=str(WEIGHTS / "mini-sdxl"))
        self.parameters = SamplingParameters(
            width=96, height=96, num_inference_steps=10, guidance_scale=4.0, scheduler="checkpoint"
        )
        self.seeds = list(range(SET_SIZE))
        self._pipeline: Any = None

    def order(self, prompt: str, parameters: Any = None) -> Any:
        """Return what is sampled."""
        from generation.plans.orders import Order

        return Order(self.model, prompt, parameters or self.parameters)

    def sampling_alone(self, prompt: str) -> None:
        """Sample the images of a prompt and drop them."""
        from generation.sampling import sampling

        for _ in sampling.sample_batches(self.order(prompt), sampling.batches_of(self.seeds), check=lambda: None):
            pass

    def as_a_worker(self, prompt: str) -> None:
        """Make and record the images of a prompt by a worker's task."""
        self.plan([prompt], self.parameters)
        self.work()

    def plan(self, prompts: Sequence[str], parameters: Any) -> None:
        """Plan a job for each prompt."""
        from generation.plans import image_sets

        image_sets.plan_image_sets(diffusion_model=self.model, prompts=prompts, parameters=parameters, seeds=self.seeds)

    def work(self) -> None:
        """Do what a worker does when a message says that there is work."""
        from generation import tasks

        tasks.run_generation_job()

    def plain_loop(self, prompt: str) -> None:
        """Make one image a call, as a script does, and save each as PNG."""
        for seed in self.seeds:
            self._call(prompt, [seed])

    def plain_batched_loop(self, prompt: str) -> None:
        """Make four images a call, as many as a worker on a CPU, and save each as PNG."""
        for start in range(0, SET_SIZE, 4):
            self._call(prompt, self.seeds[start : start + 4])

    def _call(self, prompt: str, seeds: Sequence[int]) -> None:
        import torch
        from diffusers import DiffusionPipeline

        if self._pipeline is None:
            self._pipeline = cast(Any, DiffusionPipeline).from_pretrained(
                self.model.checkpoint, torch_dtype=torch.float32
            )
            self._pipeline.set_progress_bar_config(disable=True)
        images = self._pipeline(
            prompt,
            width=self.parameters.width,
            height=self.parameters.height,
            num_inference_steps=self.parameters.num_inference_steps,
            guidance_scale=self.parameters.guidance_scale,
            num_images_per_prompt=len(seeds),
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        ).images
        for seed, image in zip(seeds, images, strict=True):
            image.save(self.folder / f"{seed}.png")


def print_arms(bench: Bench, rounds: int) -> None:
    """Measure the arms in turns and print them."""
    arms = [
        Arm("sampling alone: the bound", bench.sampling_alone),
        Arm("a worker: sampled and recorded", bench.as_a_worker),
        Arm("plain loop, one seed a call", bench.plain_loop),
        Arm("plain loop, four seeds a call", bench.plain_batched_loop),
    ]
    for arm in arms:  # loads what each needs
        arm.make("a warm-up")
    for number in range(rounds):
        for arm in arms:
            arm.run(f"a red star, number {number}")
    bound = arms[0]
    print(f"\nMini SDXL, 96 px, 10 steps, {SET_SIZE} images a round, medians of {rounds} rounds in turns")
    print(f"{'':34}{'images/s':>10}{'images/s of CPU':>17}{'of the bound':>14}")
    for arm in arms:
        rate = SET_SIZE / statistics.median(arm.seconds)
        print(f"{arm.name:34}{rate:10.2f}{SET_SIZE / arm.cpu:17.2f}{bound.cpu / arm.cpu:14.0%}")


def print_stages() -> None:
    """Print the CPU time that an image of 768 px takes the host, by stage."""
    from generation.pictures import files, renditions
    from generation.pictures.pixels import as_srgb, png
    from generation.sampling.sampling import Sampled

    pixels = _picture()
    picture = as_srgb(Sampled(0, pixels, {}).image)
    data = png(picture)
    stages: dict[str, Callable[[], object]] = {
        "to eight bits": lambda: as_srgb(Sampled(0, pixels, {}).image),
        "PNG": lambda: png(picture),
        "SHA-256": lambda: files.sha256(data),
        **{f"WebP {name}": lambda name=name: renditions.encode(picture, name) for name in renditions.SIZES},  # type: ignore[misc]
        "writing the PNG": lambda: _written(data),
    }
    print(f"\nHost time of an image of {SIDE} px, outside the sampling thread")
    for name, stage in stages.items():
        print(f"  {name:20}{_cpu_ms(stage):8.1f} ms")


def _written(data: bytes) -> None:
    from generation.pictures import files

    with files.stage("image_sets/measured/0.png", data):
        pass


def _cpu_ms(stage: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        began = time.thread_time()
        stage()
        taken.append(time.thread_time() - began)
    return min(taken) * 1000


def print_idle_share(bench: Bench, job_count: int, launch: float) -> None:
    """Let a worker make images on the card's stand-in, and print how long the card waited."""
    from dataclasses import replace

    from generation.sampling import sampling

    parameters = replace(bench.parameters, width=SIDE, height=SIDE, num_inference_steps=20)
    bench.plan([f"a card's prompt {number}" for number in range(job_count)], parameters)
    with _stand_in(sampling, launch) as card:
        bench.work()
        share = card.idle_share
    image_count = job_count * SET_SIZE
    print(f"\nA card's stand-in: {image_count} images of {SIDE} px, {SECONDS_AN_IMAGE} s each")
    print(f"  the launches of a step hold the interpreter's lock for {launch * 1000:.0f} ms")
    print(f"  device idle {share:.1%}, {image_count / (card.busy_seconds / (1 - share)):.2f} images/s")


@contextmanager
def _stand_in(sampling: Any, launch: float) -> Any:
    from generation import tasks

    card, own, sizes = Card(launch), sampling._run, sampling.batch_sizes()
    planned, overlapping = sizes.planned, dict(tasks.MOST_OVERLAPPING)
    sampling._run, sizes.planned = card.run, sampling.PLANNED_BATCH["cuda"]
    tasks.MOST_OVERLAPPING["cpu"] = overlapping["cuda"]
    try:
        yield card
    finally:
        sampling._run, sizes.planned = own, planned
        tasks.MOST_OVERLAPPING |= overlapping


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of twenty images for each arm (default 3, 0: none)"
    )
    parser.add_argument("--jobs", type=int, default=4, help="jobs of twenty images on the stand-in (default 4)")
    parser.add_argument("--launch-ms", type=float, help="of one step; measured on this machine if it is not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-generation-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "SEMBLANCE_VAR": folder}
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other would count as CPU time
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from generation.machines.devices import device_name

        print(f"{device_name()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
        bench = Bench(Path(folder))
        if arguments.rounds:
            print_arms(bench, arguments.rounds)
        print_stages()
        launch = arguments.launch_ms / 1000 if arguments.launch_ms else launch_seconds()
        print_idle_share(bench, arguments.jobs, launch)


if __name__ == "__main__":
    main()
