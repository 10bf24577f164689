"""Architectures of full size with random weights on a card: a worker with and without the speed settings, plain loops.

Printed for each arm: images a second, the share of the measured rate of matrix products, the share of the time in which
no batch was on the device (gaps between the kernels of one batch are not seen), and CPU time of the host an image.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.generation.arms import SET_SIZE, Bench

SPEED = {"compile": True, "channels_last": True, "fused_qkv": True}
WARM_UP_STEPS = 2  # each has the shapes of all
LOOP_IMAGES = 4  # of the plain loop
WORKER_SETS = 2
MATRIX_SECONDS = 0.5


@dataclass(frozen=True)
class Subject:
    """A checkpoint to build, and what is sampled from it."""

    name: str
    build: Callable[[Path], object]
    side: int = 768
    steps: int = 20
    dtype: str = "bfloat16"


class Meter:
    """The time in which batches are on the device, by the card's events; on a CPU by the clock."""

    def __init__(self) -> None:
        self._spans: list[Any] = []

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count the block as one batch."""
        import torch

        if not torch.cuda.is_available():
            began = time.perf_counter()
            yield
            self._spans.append(time.perf_counter() - began)
            return
        cuda: Any = torch.cuda  # half of it is untyped
        first, last = (cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        yield
        last.record()
        self._spans.append((first, last))

    def busy_seconds(self) -> float:
        """Return the time of all batches so far, once the device has done them."""
        synchronize()
        return sum(span if isinstance(span, float) else span[0].elapsed_time(span[1]) / 1000 for span in self._spans)


@dataclass(frozen=True)
class Result:
    """What an arm took: seconds by the clock, on the device, and of the host's cores."""

    image_count: int
    seconds: float
    busy_seconds: float
    cpu_seconds: float


def synchronize() -> None:
    """Wait until the device has done what was launched."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def matrix_rate(dtype: str) -> float:
    """Return the operations a second of large matrix products, the best of three runs."""
    import torch

    from generation.machines.devices import device

    side = 8192 if device() != "cpu" else 512
    first, second = (torch.randn(side, side, device=device(), dtype=getattr(torch, dtype)) for _ in range(2))
    rates = []
    for _ in range(4):  # the first one warms up
        synchronize()
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < MATRIX_SECONDS:
            for _ in range(20):
                first @ second
            synchronize()
            count += 20
        rates.append(count * 2 * side**3 / (time.perf_counter() - began))
    return max(rates[1:])


def operations_of(call: Callable[[], object]) -> int:
    """Return the floating-point operations of matrix products, convolutions and attention in a call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def print_full_size(folder: Path, subjects: Sequence[Subject], *, seconds: float) -> None:
    """Build, measure and print each subject in turn; what would begin after `seconds` is left out, and said so."""
    ends = time.monotonic() + seconds
    rate = matrix_rate(subjects[0].dtype)
    print(f"\nmatrix products in {subjects[0].dtype}: {rate / 1e12:.3g} TFLOP/s")
    for subject in subjects:
        place = folder / "checkpoints" / subject.name
        began = time.monotonic()
        subject.build(place)
        print(f"\n{subject.name}, random weights, {subject.side} px, {subject.steps} steps, {subject.dtype}; ", end="")
        print(f"built in {time.monotonic() - began:.0f} s")
        try:
            _print_subject(Runs(folder, place, subject), rate, ends)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _print_subject(runs: "Runs", rate: float, ends: float) -> None:
    operations = 0
    print(f"{'':38}{'images/s':>10}{'of the rate':>13}{'device idle':>13}{'host ms/image':>15}")
    for name, arm in runs.arms().items():
        if time.monotonic() > ends:
            print(f"{name:38}left out: the time is over")
            continue
        try:
            result = arm()
        except Exception as error:
            if not runs.is_out_of_memory(error):
                raise
            print(f"{name:38}does not fit into the memory")
            continue
        operations = operations or runs.operations()
        images = result.image_count / result.seconds
        idle = 1 - result.busy_seconds / result.seconds
        host = result.cpu_seconds / result.image_count * 1000
        print(f"{name:38}{images:10.3f}{images * operations / rate:13.1%}{idle:13.1%}{host:15.0f}")


class Runs:
    """The arms of a subject. The plain loops call the worker's pipeline, whose weights are in memory already."""

    def __init__(self, folder: Path, checkpoint: Path, subject: Subject) -> None:
        from generation.models import DiffusionModel
        from generation.plans.parameters import SamplingParameters

        self._subject, self._meter = subject, Meter()
        parameters = SamplingParameters(
            width=subject.side, height=subject.side, num_inference_steps=subject.steps, scheduler="checkpoint"
        )
        common = {"checkpoint": str(checkpoint), "dtype": subject.dtype}
        eager = DiffusionModel.objects.create(name=subject.name, **common)
        fast = DiffusionModel.objects.create(name=f"{subject.name}, fast", **common, **SPEED)
        self._eager, self._fast = (Bench(folder, model, parameters) for model in (eager, fast))

    def arms(self) -> dict[str, Callable[[], Result]]:
        """Return the arms, in an order in which the weights are loaded twice only."""
        return {
            "plain loop, one seed a call": lambda: self._plain(1, LOOP_IMAGES),
            f"plain loop, {SET_SIZE} seeds a call": lambda: self._plain(SET_SIZE, SET_SIZE),
            "a worker": lambda: self._worker(self._eager),
            "a worker, compiled, all speed settings": lambda: self._worker(self._fast),
        }

    @staticmethod
    def is_out_of_memory(error: Exception) -> bool:
        """Whether an arm failed because it needs more memory than there is, which is free again."""
        from generation.machines.devices import empty_memory, is_out_of_memory

        empty_memory()
        return is_out_of_memory(error)

    def operations(self) -> int:
        """Return the operations of one image."""
        return operations_of(lambda: self._eager.call("a red cube", [1]))

    def _plain(self, size: int, count: int) -> Result:
        import torch

        from generation.pipelines.loading import ready

        bench = self._eager
        loaded = ready(bench.order("a red cube"), (), lambda: None)
        bench.pipeline = loaded.pipeline
        bench.extra = dict(loaded.family.arguments)
        if loaded.family.binned_sample_sizes:
            bench.extra["use_resolution_binning"] = loaded.is_binned
        loaded.decoder.to(getattr(torch, self._subject.dtype))  # as a script does; the worker has its own
        self._short(bench).call("a warm-up", list(range(size)))

        def make() -> None:
            for start in range(0, count, size):
                with self._meter.measured():
                    bench.call("a red cube", list(range(start, start + size)))

        return self._taken(make, count)

    def _short(self, bench: Bench) -> Bench:
        """Return the bench with few steps."""
        short = Bench(bench.folder, bench.model, replace(bench.parameters, num_inference_steps=WARM_UP_STEPS))
        short.pipeline, short.extra = bench.pipeline, bench.extra
        return short

    def _worker(self, bench: Bench) -> Result:
        """Let a worker make some sets, after one of few steps, which loads and compiles."""
        self._eager.pipeline = None  # two may not fit into the memory
        self._short(bench).as_a_worker("a warm-up")
        prompts = [f"a red cube, number {number}" for number in range(WORKER_SETS)]
        bench.plan(prompts, bench.parameters)

        def make() -> None:
            with _metered(self._meter):
                for _prompt in prompts:  # a job may do the next one itself
                    bench.work()

        return self._taken(make, WORKER_SETS * SET_SIZE)

    def _taken(self, make: Callable[[], None], count: int) -> Result:
        synchronize()
        busy, cpu, began = self._meter.busy_seconds(), time.process_time(), time.perf_counter()
        make()
        synchronize()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return Result(count, seconds, self._meter.busy_seconds() - busy, cpu)


@contextmanager
def _metered(meter: Meter) -> Iterator[None]:
    """Count each batch of a worker within the block."""
    from generation.sampling import sampling

    module: Any = sampling
    own = module._run

    def run(*arguments: Any) -> Any:
        with meter.measured():
            return own(*arguments)

    module._run = run
    try:
        yield
    finally:
        module._run = own


def _full_size(kind: str) -> Callable[[Path], object]:
    def build(folder: Path) -> object:
        from generation.machines.devices import device
        from tests import full_size

        return getattr(full_size, f"build_{kind}")(folder, device=device())

    return build


FULL_SIZE = (Subject("SDXL", _full_size("sdxl")), Subject("PixArt-alpha", _full_size("pixart")))
