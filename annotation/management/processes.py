"""Run child processes: start them together, restart one that dies, end them together."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from generation.machines.cards import HostCard

LONGEST_PAUSE_SECONDS = 30
SECONDS_TO_GIVE_BACK = 5.0  # to a process that did not end in time, before it is killed
STEADY_AFTER_SECONDS = 60  # a process that ran this long dies for a new reason: the next pause is short again


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """A process to run: its name for people, the arguments after `python`, additional environment variables."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class ChildProcess:
    """A running process. It has its own session, so that Ctrl-C reaches only the parent."""

    def __init__(self, plan: ProcessPlan) -> None:
        self.plan = plan
        self._start()
        self._pause_seconds = 1.0
        self._restart_at: float | None = None

    def _start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [*_end_with_parent(), sys.executable, *self.plan.arguments],
            env={**os.environ, **self.plan.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the log goes to standard error
            start_new_session=True,
        )

    @property
    def exit_status(self) -> int | None:
        """The exit status; None while it runs, and negative for the signal that ended it."""
        return self.process.poll()

    def restart_if_down(self, say: Callable[[str], None]) -> None:
        """Restart the process if it is down and the pause is over. Each death soon after a start doubles the pause."""
        now = time.monotonic()
        if self.exit_status is None:
            return
        if self._restart_at is None:
            if now - self.started_at > STEADY_AFTER_SECONDS:
                self._pause_seconds = 1.0
            self._restart_at = now + self._pause_seconds
            say(
                f"{self.plan.name} ended ({_in_words(self.exit_status)}); starting again in {self._pause_seconds:.0f} s"
            )
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        elif now >= self._restart_at:
            self._restart_at = None
            self._start()

    def terminate(self) -> None:
        """Send SIGTERM to the process, not to its children: it ends them in order."""
        if self.exit_status is None:
            self.process.send_signal(signal.SIGTERM)

    def has_ended_by(self, deadline: float) -> bool:
        """Wait until `deadline` (monotonic seconds). Return whether the process has ended."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the process and to those that it started: some of them may outlive it."""
        with _ignoring_absence():
            os.killpg(self.process.pid, number)


@contextmanager
def running(*plans: ProcessPlan, patience_seconds: float, say: Callable[[str], None]) -> Iterator[list[ChildProcess]]:
    """Run the plans while the block runs. Then terminate all, and kill those that still run after the patience.

    They get SIGQUIT first. Celery's main process does not know a job that began at the moment of the SIGTERM, and would
    wait for it. On SIGQUIT the pool process gives this job back.
    """
    children = [ChildProcess(plan) for plan in plans]
    try:
        yield children
    finally:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + patience_seconds
        late = [child for child in children if not child.has_ended_by(deadline)]
        for child in late:
            child.signal_all(signal.SIGQUIT)
        deadline = time.monotonic() + SECONDS_TO_GIVE_BACK
        for child in children:
            child.has_ended_by(deadline)
            child.signal_all(signal.SIGKILL)
            child.process.wait()
        for child in late:
            say(f"{child.plan.name} did not end within {patience_seconds:.0f} s and was killed")


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set, instead of ending this process."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def supervise(children: list[ChildProcess], *, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Restart each process that dies, until `stop` is set."""
    while not stop.wait(0.5):
        for child in children:
            child.restart_if_down(say)


def worker_plans(queues: tuple[str, ...], cards: Sequence[HostCard] = ()) -> list[ProcessPlan]:
    """Return the Celery processes of a worker: one for each queue, and the clock if the control queue is among them.

    With cards, the gpu queue has a process for each, which sees this card only.
    """
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    # At SIGTERM Celery waits for running tasks without limit, at SIGQUIT only for the time of the soft shutdown.
    # CUDA numbers the fastest card 0 by default, and nvidia-smi the first one on the bus.
    environment = {"REMAP_SIGTERM": "SIGQUIT", "CUDA_DEVICE_ORDER": "PCI_BUS_ID", **quiet}
    celery = ("-m", "celery", "-A", "config", "--quiet")
    options = ("--concurrency", "1", "--without-gossip", "--without-mingle", "--loglevel", "WARNING")

    def plan(queue: str, name: str, card: Mapping[str, str]) -> ProcessPlan:
        return ProcessPlan(
            name, (*celery, "worker", "-Q", queue, "-n", f"{name}@%h", *options), {**environment, **card}
        )

    plans = [plan(queue, queue, {}) for queue in queues if queue != "gpu" or not cards]
    if "gpu" in queues:
        # A part of a card is 1:0, and a colon in a name would mislead.
        named = {f"gpu-{card.number.replace(':', '.')}": card for card in cards}
        plans += [plan("gpu", name, {"CUDA_VISIBLE_DEVICES": card.uuid}) for name, card in named.items()]
        # Its own process, so that no job waits inside the process that holds the GPU, and no download dies with it.
        plans.append(ProcessPlan("files", (str(settings.BASE_DIR / "manage.py"), "fetch_models", "--queued"), quiet))
    if "control" in queues:
        # Its own process: inside a worker it would be a fork that survives a kill -9 of the worker.
        plans.append(ProcessPlan("clock", (*celery, "beat", "--loglevel", "WARNING", "--pidfile="), environment))
    return plans


def _end_with_parent() -> list[str]:
    """Return the command prefix that makes the kernel end a child if its parent dies, even by kill -9 (Linux).

    If the parent dies in the child's first milliseconds, before the prefix has run, the child goes on.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _in_words(exit_status: int) -> str:
    return f"exit status {exit_status}" if exit_status >= 0 else f"signal {signal.Signals(-exit_status).name}"


@contextmanager
def _ignoring_absence() -> Iterator[None]:
    try:
        yield
    except (ProcessLookupError, PermissionError):
        return
