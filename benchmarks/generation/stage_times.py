"""The time that each stage of a worker takes while it makes images, by thread: by the clock, and of the CPU.

By the clock a stage also waits for cores, for the interpreter's lock and for the disk.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock
from typing import Any


@dataclass
class StageTime:
    """What all calls of a stage took, in seconds."""

    thread: str
    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    count: int = 0
    lock: Lock = field(default_factory=Lock)

    def measured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose calls are added."""

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            began, cpu_began = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                with self.lock:
                    self.seconds += time.perf_counter() - began
                    self.cpu_seconds += time.thread_time() - cpu_began
                    self.count += 1

        return call


@contextmanager
def stage_times() -> Iterator[list[StageTime]]:
    """Measure the stages of what a worker does in the block."""
    stages, replaced = [], []
    for holder, attribute, thread, name in _stages():
        own = getattr(holder, attribute)
        stage = StageTime(thread, name)
        setattr(holder, attribute, stage.measured(own))
        replaced.append((holder, attribute, own))
        stages.append(stage)
    try:
        yield stages
    finally:
        for holder, attribute, own in replaced:
            setattr(holder, attribute, own)


def _stages() -> list[tuple[Any, str, str, str]]:
    from generation.pictures import files, renditions
    from generation.recorded_images import records
    from generation.sampling import job_row, sampling
    from generation.sampling.recording import Recorder
    from jobs import claims, whole_files

    return [
        (sampling, "ready", "sampling", "model and prompt ready"),
        (sampling, "_check_output", "sampling", "pixels checked"),
        (sampling, "_provenance", "sampling", "provenance"),
        (job_row, "_claimed", "main", "next job claimed"),
        (job_row, "prepared_seeds", "main", "its missing seeds found"),
        (Recorder, "_record", "main", "rows stored, files named"),
        (claims, "finish", "main", "job settled"),
        (records, "as_srgb", "pool", "eight bits"),
        (records, "png", "pool", "PNG"),
        (files, "sha256", "pool", "SHA-256"),
        (renditions, "encode", "pool", "renditions"),
        (whole_files, "write_part", "pool", "files written and flushed"),
    ]


def print_stage_times(stages: list[StageTime], image_count: int) -> None:
    """Print the time an image of each stage."""
    print(f"  {'thread':10}{'stage':28}{'ms an image':>12}{'of CPU':>10}{'calls':>8}")
    for stage in stages:
        by_clock, of_cpu = (1000 * seconds / image_count for seconds in (stage.seconds, stage.cpu_seconds))
        print(f"  {stage.thread:10}{stage.name:28}{by_clock:12.1f}{of_cpu:10.1f}{stage.count:8}")
