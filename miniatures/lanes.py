"""The stages as processes: what does not wait for another runs beside it, each on its share of the cores.

Networks this small are many short operations, between which two threads on one of them would wait for each other.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from miniatures.telling import told

Needs = Mapping[str, tuple[str, ...]]


class StageFailedError(Exception):
    """A stage's process ended with an error; the message holds its last lines."""


def run_stages(needs: Needs, command: Callable[[str], Sequence[str]], *, lanes: int) -> None:
    """Run every stage once, after those that it needs, at most `lanes` at a time, with a bar for each."""
    waiting, done = list(needs), set[str]()
    running: dict[Future[None], str] = {}
    with _progress() as progress, ThreadPoolExecutor(lanes) as pool:
        while waiting or running:
            for stage in [stage for stage in waiting if done.issuperset(needs[stage])][: lanes - len(running)]:
                waiting.remove(stage)
                running[pool.submit(_run, stage, command(stage), progress, lanes)] = stage
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(ended)
                if error := ended.exception():
                    waiting.clear()  # what runs goes on to its end; nothing new begins
                    raise error
                done.add(stage)


def _run(stage: str, command: Sequence[str], progress: Progress, lanes: int) -> None:
    threads = max(1, (os.cpu_count() or 1) // lanes)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    bars: dict[str, TaskID] = {}
    other: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout or ():
            if (seen := told(line)) is None:
                other = [*other[-20:], line]
                continue
            _show(progress, bars, *seen)
    if process.returncode:
        raise StageFailedError(f"Training stopped in {stage}. Its last lines:\n{''.join(other)}")


def _show(progress: Progress, bars: dict[str, TaskID], name: str, done: int, total: int, note: str) -> None:
    if name not in bars:
        bars[name] = progress.add_task(name, total=total, note="")
    progress.update(bars[name], completed=done, note=note)
    # In a file a bar cannot move.
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
