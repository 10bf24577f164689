"""The fair lock between processes that write to one SQLite file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from annotation.voting.storage.sqlite_queue import DESK, GATE

PATIENCE_SECONDS = 600
# Takes the lock again and again: writes its name, prints it, and releases the lock when it is told to.
PROCESS = """
import sys
from pathlib import Path
from annotation.voting.storage.sqlite_queue import FairLock
name, lock = sys.argv[1], FairLock(Path(sys.argv[2]))
while True:
    with lock():
        with open(sys.argv[2] + "-log", "a") as log:
            log.write(name)
        print(name, flush=True)
        if not sys.stdin.readline():
            break
"""


class Crowd:
    """Processes that want one lock."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.path, self._stack = folder / "turn", stack

    def start(self, name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROCESS, name, str(self.path)]
        process = self._stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        self._stack.callback(process.kill)
        return process

    def wait_until_shut(self, byte: int) -> None:
        """Wait until another process has locked the byte."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self.path.open("rb+") as file:
                os.lseek(file.fileno(), byte, os.SEEK_SET)
                try:
                    os.lockf(file.fileno(), os.F_TEST, 1)
                except (BlockingIOError, PermissionError):
                    return
            time.sleep(0.01)
        raise TimeoutError

    def log(self) -> str:
        return Path(f"{self.path}-log").read_text()


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(tmp_path, stack)


def has_its_turn(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_process_that_wants_the_lock_again_waits_behind_one_that_waits_already(crowd: Crowd) -> None:
    first = crowd.start("A")
    assert has_its_turn(first) == "A"
    second = crowd.start("B")
    crowd.wait_until_shut(GATE)
    for _turn in range(20):
        leave(first)  # it wants the lock again at once
        assert has_its_turn(second) == "B"
        crowd.wait_until_shut(GATE)
        leave(second)
        assert has_its_turn(first) == "A"
        crowd.wait_until_shut(GATE)
    assert crowd.log() == "A" + 20 * "BA"


def test_the_locks_of_a_killed_process_are_released(crowd: Crowd) -> None:
    first = crowd.start("A")
    assert has_its_turn(first) == "A"
    crowd.wait_until_shut(DESK)
    second = crowd.start("B")
    crowd.wait_until_shut(GATE)
    third = crowd.start("C")
    second.kill()
    second.wait()
    first.kill()
    assert has_its_turn(third) == "C"
    assert crowd.log() == "AC"
