"""The ways of making images that are compared: a worker, sampling alone, and plain loops; on a CPU with a miniature."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parent.parent.parent
WEIGHTS = ROOT / "miniatures" / "weights"
SET_SIZE = 20


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


class Bench:
    """A model and its parameters, in a database and a media folder that are thrown away.

    pipeline: that of the plain loops, loaded by diffusers alone if it is None; extra: further arguments of its call.
    """

    def __init__(self, folder: Path, model: Any, parameters: Any) -> None:
        self.folder, self.model, self.parameters = folder, model, parameters
        self.seeds = list(range(SET_SIZE))
        self.pipeline: Any = None
        self.extra: dict[str, Any] = {}

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
            self.call(prompt, [seed])

    def plain_batched_loop(self, prompt: str) -> None:
        """Make four images a call, as many as a worker on a CPU, and save each as PNG."""
        for start in range(0, SET_SIZE, 4):
            self.call(prompt, self.seeds[start : start + 4])

    def call(self, prompt: str, seeds: Sequence[int]) -> None:
        """Make images of a prompt in one call of the plain pipeline, and save each as PNG."""
        import torch
        from diffusers import DiffusionPipeline

        if self.pipeline is None:
            self.pipeline = cast(Any, DiffusionPipeline).from_pretrained(
                self.model.checkpoint, torch_dtype=torch.float32
            )
            self.pipeline.set_progress_bar_config(disable=True)
        images = self.pipeline(
            prompt,
            width=self.parameters.width,
            height=self.parameters.height,
            num_inference_steps=self.parameters.num_inference_steps,
            guidance_scale=self.parameters.guidance_scale,
            num_images_per_prompt=len(seeds),
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            **self.extra,
        ).images
        for seed, image in zip(seeds, images, strict=True):
            image.save(self.folder / f"{seed}.png")


def miniature(folder: Path) -> Bench:
    """Return the bench of a miniature, which a CPU samples."""
    from generation.models import DiffusionModel
    from generation.plans.parameters import SamplingParameters

    model = DiffusionModel.objects.create(name="Mini SDXL", checkpoint=str(WEIGHTS / "mini-sdxl"))
    parameters = SamplingParameters(
        width=96, height=96, num_inference_steps=10, guidance_scale=4.0, scheduler="checkpoint"
    )
    return Bench(folder, model, parameters)


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
