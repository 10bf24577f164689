"""The training loop of all miniatures: seeded per step, resumable, with a moving average of the weights."""

import math
import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from miniatures.muon import Muon
from miniatures.progress import print_progress

CHECKPOINT_SECONDS = 300
AVERAGE_DECAY = 0.998
_MUON_RATE = 0.01
_WARM_UP = 100
_TELL_STEPS = 5


@dataclass(frozen=True, slots=True)
class Stage:
    """A training task. `loss(step)` draws its batch from the step's number alone, so a resumed run is the same run.

    `matrices`: the parameters that Muon updates, including convolutions; AdamW updates the rest at `learning_rate`.
    """

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[int], Tensor]
    step_count: int
    learning_rate: float
    matrices: tuple[nn.Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Effort:
    """The effort of a stage: its steps, wall-clock and processor seconds, and the device."""

    steps: int
    seconds: float
    processor_seconds: float
    threads: int
    on: str
    torch: str

    def as_json(self) -> dict[str, object]:
        """Return the fields by name, with rounded seconds."""
        rounded = {"seconds": round(self.seconds), "processor_seconds": round(self.processor_seconds)}
        return asdict(self) | rounded


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision() -> AbstractContextManager[object]:
    """Compute in bfloat16 if the device supports it."""
    return torch.autocast(device().type, torch.bfloat16, enabled=precision() == torch.bfloat16)


def precision() -> torch.dtype:
    """Return the dtype of matrix products: emulated bfloat16 would take many times as long."""
    is_fast = device().type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if is_fast else torch.float32


def attention() -> AbstractContextManager[object]:
    """Use plain attention on a CPU, where the backward pass of the fused one takes several times as long."""
    return sdpa_kernel(SDPBackend.MATH) if device().type == "cpu" else nullcontext()


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return a generator on the CPU that depends on the seed and the step only."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def train(stage: Stage, folder: Path) -> Effort:
    """Train to the end, resuming from the folder's checkpoint; finally set the parameters to their moving average."""
    state = _State(folder / f"{stage.name}.pt", stage)
    saved_at = time.monotonic()
    try:
        for step in range(state.step, stage.step_count):
            value = _step(stage, step, state)
            if (step + 1) % _TELL_STEPS == 0 or step + 1 == stage.step_count:
                print_progress(stage.name, step + 1, stage.step_count, f"loss {value:.4f}")
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                state.save()
                saved_at = time.monotonic()
    finally:
        state.save()  # at the end, and when Ctrl-C or a fault ends the run
    with torch.no_grad():
        for parameter, mean in zip(stage.parameters, state.average, strict=True):
            parameter.copy_(mean)
    return state.effort()


class _State:
    """The content of a checkpoint: step, parameters, their average, the optimizer, and the time spent so far."""

    def __init__(self, path: Path, stage: Stage) -> None:
        self.path = path
        self.stage = stage
        self.optimizers = _optimizers(stage)
        self.average = [parameter.detach().clone() for parameter in stage.parameters]
        self.step = 0
        self._spent = (0.0, 0.0)
        if path.exists():
            self._load()
        self._began = (time.monotonic(), time.process_time())

    def effort(self) -> Effort:
        """Return the effort of the stage in all its runs together."""
        seconds, processor_seconds = self._all_spent()
        on = (
            torch.cuda.get_device_name() if device().type == "cuda" else f"{platform.machine()}, {os.cpu_count()} cores"
        )
        return Effort(self.step, seconds, processor_seconds, torch.get_num_threads(), on, torch.__version__)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        parameters = [parameter.detach() for parameter in self.stage.parameters]
        state = {"step": self.step, "parameters": parameters, "average": self.average, "spent": self._all_spent()}
        torch.save(state | {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}, part)
        part.replace(self.path)

    def _all_spent(self) -> tuple[float, float]:
        now = (time.monotonic(), time.process_time())
        return (self._spent[0] + now[0] - self._began[0], self._spent[1] + now[1] - self._began[1])

    def _load(self) -> None:
        state = torch.load(self.path, map_location=device(), weights_only=True)
        with torch.no_grad():
            for parameter, stored in zip(self.stage.parameters, state["parameters"], strict=True):
                parameter.copy_(stored)
            for mean, stored in zip(self.average, state["average"], strict=True):
                mean.copy_(stored)
        for optimizer, stored in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self.step = int(state["step"])
        self._spent = tuple(state.get("spent", (0.0, 0.0)))


def _optimizers(stage: Stage) -> list[torch.optim.Optimizer]:
    by_muon = {id(parameter) for parameter in stage.matrices}
    others = [parameter for parameter in stage.parameters if id(parameter) not in by_muon]
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
    ]
    if stage.matrices:
        made.append(Muon(stage.matrices, lr=_MUON_RATE, dtype=precision()))
    for group in (group for optimizer in made for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]
    return made


def _step(stage: Stage, step: int, state: _State) -> float:
    for group in (group for optimizer in state.optimizers for group in optimizer.param_groups):
        group["lr"] = group["initial_lr"] * _schedule(step, stage.step_count)
    with attention():
        loss = stage.loss(step)
    for optimizer in state.optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(stage.parameters, 1.0)
    for optimizer in state.optimizers:
        optimizer.step()
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(state.average, list[Tensor](stage.parameters), 1 - decay)
    state.step = step + 1
    return float(loss.detach())


def _schedule(step: int, total: int) -> float:
    """Warm-up, then half a cosine down to a fiftieth."""
    if step < _WARM_UP:
        return (step + 1) / _WARM_UP
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - _WARM_UP) / max(1, total - _WARM_UP)))
