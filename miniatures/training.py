"""One training loop for all miniatures: seeded per step, resumable, with a moving average of the weights."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

CHECKPOINT_SECONDS = 300
AVERAGE_DECAY = 0.998
_WARM_UP = 100
_REPORT_STEPS = 50  # where the output is a file, in which a bar cannot move


@dataclass(frozen=True, slots=True)
class Stage:
    """What is trained: `loss(step)` draws its batch from the step's number alone, so a resumed run is the same run."""

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[int], Tensor]
    step_count: int
    learning_rate: float


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def step_generator(seed: int, step: int) -> torch.Generator:
    """Random numbers on the CPU that depend on the seed and the step only."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def train(stage: Stage, folder: Path) -> None:
    """Train to the end, resuming from the folder's checkpoint; the parameters end as their moving average."""
    path = folder / f"{stage.name}.pt"
    optimizer = torch.optim.AdamW(stage.parameters, lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
    average = [parameter.detach().clone() for parameter in stage.parameters]
    first = _resume(path, stage, optimizer, average)
    saved_at = time.monotonic()
    with _progress() as progress:
        bar = progress.add_task(stage.name, total=stage.step_count, completed=first, loss=math.nan)
        for step in range(first, stage.step_count):
            value = _step(stage, step, optimizer, average)
            progress.update(bar, advance=1, loss=value)
            if not progress.console.is_terminal and (step + 1) % _REPORT_STEPS == 0:
                print(f"{stage.name}: step {step + 1} of {stage.step_count}, loss {value:.4f}", flush=True)
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                _save(path, step + 1, stage, optimizer, average)
                saved_at = time.monotonic()
    if first < stage.step_count:
        _save(path, stage.step_count, stage, optimizer, average)
    with torch.no_grad():
        for parameter, mean in zip(stage.parameters, average, strict=True):
            parameter.copy_(mean)


def _step(stage: Stage, step: int, optimizer: torch.optim.Optimizer, average: list[Tensor]) -> float:
    for group in optimizer.param_groups:
        group["lr"] = stage.learning_rate * _schedule(step, stage.step_count)
    loss = stage.loss(step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(stage.parameters, 1.0)
    optimizer.step()
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(average, list[Tensor](stage.parameters), 1 - decay)
    return float(loss.detach())


def _schedule(step: int, total: int) -> float:
    """Warm-up, then half a cosine down to a fiftieth."""
    if step < _WARM_UP:
        return (step + 1) / _WARM_UP
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - _WARM_UP) / max(1, total - _WARM_UP)))


def _save(path: Path, step: int, stage: Stage, optimizer: torch.optim.Optimizer, average: list[Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    parameters = [parameter.detach() for parameter in stage.parameters]
    state = {"step": step, "parameters": parameters, "average": average, "optimizer": optimizer.state_dict()}
    torch.save(state, part)
    part.replace(path)


def _resume(path: Path, stage: Stage, optimizer: torch.optim.Optimizer, average: list[Tensor]) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location=device(), weights_only=True)
    with torch.no_grad():
        for parameter, stored in zip(stage.parameters, state["parameters"], strict=True):
            parameter.copy_(stored)
        for mean, stored in zip(average, state["average"], strict=True):
            mean.copy_(stored)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
