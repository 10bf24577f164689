"""Child processes: started together, watched, restarted when one dies, ended together."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

LONGEST_PAUSE_SECONDS = 30
STEADY_AFTER_SECONDS = 60  # who ran this long dies for a new reason: the pause before a restart is short again


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """What to run: a name for people, the arguments after this Python's own, what its environment has beside ours."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class ChildProcess:
    """One plan, running. It stands in a session of its own, so that Ctrl-C reaches whoever watches it alone."""

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
            stdout=subprocess.DEVNULL,  # what is worth reading goes to the log, on standard error
            start_new_session=True,
        )

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self.process.poll()

    def tend(self, say: Callable[[str], None]) -> None:
        """Restart it when it is down and the pause is over; each death soon after a start doubles the pause."""
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

    def ask_to_end(self) -> None:
        """SIGTERM to the process itself, not to its children: it ends them in order."""
        if self.exit_status is None:
            self.process.send_signal(signal.SIGTERM)

    def wait_or_kill(self, deadline: float) -> bool:
        """Wait for the end until `deadline` (monotonic seconds), then kill. Whether it ended by itself."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
        # What is left of the session: the pool of a killed worker.
        with _no_such_process_is_fine():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return ended


@contextmanager
def running(*plans: ProcessPlan, patience_seconds: float, say: Callable[[str], None]) -> Iterator[list[ChildProcess]]:
    """Run the plans while the block runs; then ask all to end, and kill what has not after the patience."""
    children = [ChildProcess(plan) for plan in plans]
    try:
        yield children
    finally:
        for child in children:
            child.ask_to_end()
        deadline = time.monotonic() + patience_seconds
        for child in children:
            if not child.wait_or_kill(deadline):
                say(f"{child.plan.name} did not end within {patience_seconds:.0f} s and was killed")


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, instead of what they do otherwise."""
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
    """Restart whatever dies, until `stop` is set."""
    while not stop.wait(0.5):
        for child in children:
            child.tend(say)


def worker_plans(queues: tuple[str, ...]) -> list[ProcessPlan]:
    """The Celery processes of a worker: one for each queue, and the clock beside the control queue."""
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    # Celery waits for running tasks without end at SIGTERM, but only for the soft shutdown's time at SIGQUIT.
    environment = {"REMAP_SIGTERM": "SIGQUIT", **quiet}
    celery = ("-m", "celery", "-A", "config", "--quiet")
    options = ("--concurrency", "1", "--without-gossip", "--without-mingle", "--loglevel", "WARNING")
    plans = [
        ProcessPlan(queue, (*celery, "worker", "-Q", queue, "-n", f"{queue}@%h", *options), environment)
        for queue in queues
    ]
    if "control" in queues:
        # A process of its own: inside a worker it would be a fork that outlives the worker's kill -9.
        plans.append(ProcessPlan("clock", (*celery, "beat", "--loglevel", "WARNING", "--pidfile="), environment))
    return plans


def _end_with_parent() -> list[str]:
    """The prefix under which the kernel sends a child SIGTERM when its parent is gone, kill -9 included (Linux).

    A parent that is gone before the prefix has run, in the child's first milliseconds, leaves it behind.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _in_words(exit_status: int) -> str:
    return f"exit status {exit_status}" if exit_status >= 0 else f"signal {signal.Signals(-exit_status).name}"


@contextmanager
def _no_such_process_is_fine() -> Iterator[None]:
    try:
        yield
    except (ProcessLookupError, PermissionError):
        return
