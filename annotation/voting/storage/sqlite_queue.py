"""One after the other before the database's writer, and many in one commit.

SQLite has one writer. Whoever waits for it asks again after pauses, and who asked first may come last: with fifty
annotators some votes took seconds. And every commit waits for the disk, so that a second holds no more votes than the
disk has time to confirm. So in each process the transactions of annotators stand in line here. The first in the line
runs all that wait, each in a savepoint, and commits them together; then it wakes their threads, and the first of
those that came meanwhile goes on. Nothing is acknowledged before the commit that holds it is on the disk. Several
processes take turns before the file (`turnstile`).

PostgreSQL has many writers and collects their commits by itself: there every transaction is one of its own.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.utils import translation

from annotation.voting.storage.sqlite_lock import Turnstile

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
MOST_IN_ONE_COMMIT = 32


class _Job(Generic[Result]):
    """A transaction that waits for its turn; `is_first`: its thread runs what waits, itself included."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work, self._language = work, translation.get_language()
        self.woken = threading.Event()
        self.is_first = False
        self.result: Result | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do the work in a transaction, or in a savepoint of one: an error takes back this work alone."""
        try:
            with transaction.atomic(), translation.override(self._language):
                self.result = self._work()
        except Exception as error:  # it is the submitter's, and raised there
            self.error = error

    def outcome(self) -> Result:
        """What the work returned; raises what it raised."""
        if self.error:
            raise self.error
        return cast("Result", self.result)


class _Line:
    """Those who wait, in the order in which they came."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Job[Any]] = deque()
        self._is_busy = False

    def do(self, work: Callable[[], Result]) -> Result:
        """Stand in line; return when the work is committed."""
        job = _Job(work)
        with self._guard:
            self._waiting.append(job)
            job.is_first, self._is_busy = not self._is_busy, True
        if not job.is_first:
            job.woken.wait()
        if job.is_first:
            self._run_all_that_wait()
        return job.outcome()

    def _run_all_that_wait(self) -> None:
        jobs: list[_Job[Any]] = []
        try:
            with _writer():
                jobs = self._those_who_wait()
                _commit(jobs)
        except BaseException as error:  # nothing was committed
            jobs = jobs or self._those_who_wait()
            for job in jobs:
                job.error = error
        finally:
            self._hand_on()
            for job in jobs[1:]:
                job.woken.set()

    def _those_who_wait(self) -> list[_Job[Any]]:
        with self._guard:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ONE_COMMIT))]

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting[0].is_first = True
                self._waiting[0].woken.set()
            else:
                self._is_busy = False


def _commit(jobs: list[_Job[Any]]) -> None:
    """Run the jobs; return when all of them are on the disk."""
    if len(jobs) == 1:
        jobs[0].run()
    else:
        with transaction.atomic():
            for job in jobs:
                job.run()


class _Writer:
    """The process's one connection that writes, used by whoever runs what waits.

    A connection drops the pages that it has read when another one writes. With a connection for each thread every
    transaction would read anew what the last one had in its hands.
    """

    def __init__(self) -> None:
        self._connection: Any = None
        self._enter: Callable[[], AbstractContextManager[None]] = nullcontext

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Inside, the database connection of this thread is the writer; one thread, and one process, at a time."""
        own = connections[DEFAULT_DB_ALIAS]
        if self._connection is None or self._connection.settings_dict != own.settings_dict:
            self._enter = _way_in(own)  # first: where no lock file can be made, nobody comes in without one
            self._connection = own.copy()
            self._connection.inc_thread_sharing()
        with self._enter():
            connections[DEFAULT_DB_ALIAS] = self._connection
            try:
                yield
            finally:
                connections[DEFAULT_DB_ALIAS] = own


def _way_in(database: Any) -> Callable[[], AbstractContextManager[None]]:
    """The turnstile of the database's file; a database in memory belongs to one process."""
    if database.is_in_memory_db():
        return nullcontext
    return Turnstile(Path(f"{database.settings_dict['NAME']}-turn"))


_writer = _Writer()
_LINE = _Line()


def in_turn(verb: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a function one transaction, like `transaction.atomic`, that stands in line where the database needs it."""

    @wraps(verb)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            return _LINE.do(lambda: verb(*args, **kwargs))
        with transaction.atomic():
            return verb(*args, **kwargs)

    return wrapper
