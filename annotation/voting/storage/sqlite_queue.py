"""A queue of transactions for SQLite's one writer, which commits many of them together.

SQLite has one writer. A connection that waits for it asks again after pauses, so the first to ask may be the last to
write: with fifty annotators some votes took seconds. Also each commit waits for the disk, so that a second holds no
more votes than the disk can confirm. Therefore each process queues the transactions of annotators here. The thread of
the first one runs all that are queued, each in a savepoint, commits them together, and wakes their threads; then the
thread of the next one in the queue goes on. Nothing is acknowledged before the commit that holds it is on the disk.
Several processes take turns before the file (`FairLock`).

PostgreSQL has many writers and groups their commits by itself, so there each transaction is its own.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.utils import translation

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
MOST_IN_ONE_COMMIT = 32
GATE, DESK = 0, 1  # the bytes of the lock file


class _Transaction(Generic[Result]):
    """A queued transaction. `is_first`: its thread runs all that are queued, itself included."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work, self._language = work, translation.get_language()
        self.woken = threading.Event()
        self.is_first = False
        self.result: Result | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do the work in a transaction, or in a savepoint of one: an error rolls back this work alone."""
        try:
            with transaction.atomic(), translation.override(self._language):
                self.result = self._work()
        except Exception as error:  # raised in the thread that submitted the work
            self.error = error

    def outcome(self) -> Result:
        """Return what the work returned, or raise what it raised."""
        if self.error:
            raise self.error
        return cast("Result", self.result)


class _Queue:
    """The transactions of this process that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Transaction[Any]] = deque()
        self._is_busy = False

    def do(self, work: Callable[[], Result]) -> Result:
        """Queue the work; return when it is committed."""
        queued = _Transaction(work)
        with self._guard:
            self._waiting.append(queued)
            queued.is_first, self._is_busy = not self._is_busy, True
        if not queued.is_first:
            queued.woken.wait()
        if queued.is_first:
            self._run_all()
        return queued.outcome()

    def _run_all(self) -> None:
        batch: list[_Transaction[Any]] = []
        try:
            with _writer():
                batch = self._next_batch()
                _commit(batch)
        except BaseException as error:  # nothing was committed
            batch = batch or self._next_batch()
            for queued in batch:
                queued.error = error
        finally:
            self._hand_on()
            for queued in batch[1:]:
                queued.woken.set()

    def _next_batch(self) -> list[_Transaction[Any]]:
        with self._guard:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ONE_COMMIT))]

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting[0].is_first = True
                self._waiting[0].woken.set()
            else:
                self._is_busy = False


def _commit(batch: list[_Transaction[Any]]) -> None:
    """Run the transactions; return when all of them are on the disk."""
    if len(batch) == 1:
        batch[0].run()
    else:
        with transaction.atomic():
            for queued in batch:
                queued.run()


class _Writer:
    """The one connection of the process that writes, lent to the thread that runs the queue.

    A connection drops the pages that it has read when another connection writes. If each thread wrote through its own,
    each transaction would read again what the last one had just read.
    """

    def __init__(self) -> None:
        self._connection: Any = None
        self._enter: Callable[[], AbstractContextManager[None]] = nullcontext

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside, this thread's database connection is the writer; one thread and one process at a time."""
        own = connections[DEFAULT_DB_ALIAS]
        if self._connection is None or self._connection.settings_dict != own.settings_dict:
            self._enter = _lock_of(own)  # first: if no lock file can be made, nothing is written without one
            self._connection = own.copy()
            self._connection.inc_thread_sharing()
        with self._enter():
            connections[DEFAULT_DB_ALIAS] = self._connection
            try:
                yield
            finally:
                connections[DEFAULT_DB_ALIAS] = own


class FairLock:
    """The process that holds GATE writes next; the process that holds DESK is writing.

    A process that has written and wants to write again must first get GATE, which another process holds while it waits
    for DESK. So two processes take turns; among more than two the kernel chooses which one gets GATE. A process uses
    the lock from one thread at a time. If a process dies, the kernel releases its locks.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # stays open until the process ends

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside, no other process that uses this lock writes."""
        self._lock(GATE)
        try:
            self._lock(DESK)
        finally:
            self._release(GATE)
        try:
            yield
        finally:
            self._release(DESK)

    def _lock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, byte)

    def _release(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)


def _lock_of(database: Any) -> Callable[[], AbstractContextManager[None]]:
    """The lock of the database's file; none for a database in memory, which belongs to one process."""
    if database.is_in_memory_db():
        return nullcontext
    return FairLock(Path(f"{database.settings_dict['NAME']}-turn"))


_writer = _Writer()
_QUEUE = _Queue()


def in_turn(verb: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a function one transaction, like `transaction.atomic`; on SQLite it waits in the queue."""

    @wraps(verb)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            return _QUEUE.do(lambda: verb(*args, **kwargs))
        with transaction.atomic():
            return verb(*args, **kwargs)

    return wrapper
