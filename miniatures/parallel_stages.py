"""Run the stages as processes: independent stages run in parallel, each on its share of the cores.

Networks this small consist of many short operations, so two threads on one of them would mostly wait for each other.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from miniatures.progress import parse_progress

Needs = Mapping[str, tuple[str, ...]]


class StageFailedError(Exception):
    """A stage's process ended with an error; the message holds its last lines."""


def run_stages(needs: Needs, command: Callable[[str], Sequence[str]], *, process_count: int) -> None:
    """Run every stage once, after those that it needs, at most `process_count` at a time, with a bar for each."""
    waiting, done = list(needs), set[str]()
    running: dict[Future[None], str] = {}
    with _progress() as progress, ThreadPoolExecutor(process_count) as pool:
        while waiting or running:
            for stage in [stage for stage in waiting if done.issuperset(needs[stage])][: process_count - len(running)]:
                waiting.remove(stage)
                running[pool.submit(_run, stage, command(stage), progress, process_count)] = stage
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(ended)
                if error := ended.exception():
                    waiting.clear()  # running stages end normally; no new one starts
                    raise error
                done.add(stage)


def _run(stage: str, command: Sequence[str], progress: Progress, process_count: int) -> None:
    threads = max(1, (os.cpu_count() or 1) // process_count)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    bars: dict[str, TaskID] = {}
    other: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout or ():
            if (seen := parse_progress(line)) is None:
                other = [*other[-20:], line]
                continue
            _show(progress, bars, *seen)
    if process.returncode:
        raise StageFailedError(f"Training stopped in {stage}. Its last lines:\n{''.join(other)}")


def _show(progress: Progress, bars: dict[str, TaskID], name: str, done: int, total: int, note: str) -> None:
    if name not in bars:
        bars[name] = progress.add_task(name, total=total, note="")
    progress.update(bars[name], completed=done, note=note)
    # A bar cannot move in a file.
    if not progress.console.is_terminal and (done == total or done * 20 // total > (done - 1) * 20 // total):
        print(f"{name}: {done} of {total} {note}", flush=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} {task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
