"""The supervisor of the worker's processes, and the embedded queue between two of them."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from celery.worker import state
from celery.worker.request import Request
from django.core.management import call_command
from django.core.management.base import CommandError
from kombu import Connection
from kombu.transport.sqlalchemy.models import metadata
from sqlalchemy import create_engine, event

import config.celery  # registers the embedded queue
from annotation.management import processes
from annotation.management.processes import ProcessPlan, running, supervise, worker_plans
from config.one_message import JobRequest, Line

SLEEP = ("-c", "import time; time.sleep(600)")


def eventually(question: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 600
    while not question() and time.monotonic() < deadline:
        time.sleep(0.05)
    return question()


def is_alive(pid: int) -> bool:
    """Return whether a process still runs; an ended process that was not collected (a zombie) does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # pid (name) state ...; Linux only
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_process_that_dies_is_started_again() -> None:
    said: list[str] = []
    stop = threading.Event()
    with running(ProcessPlan("sleeper", SLEEP), patience_seconds=10, say=said.append) as [child]:
        watching = threading.Thread(target=supervise, args=([child],), kwargs={"stop": stop, "say": said.append})
        watching.start()
        first = child.process.pid
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: child.process.pid != first and child.exit_status is None)
        stop.set()
        watching.join()
    assert said == ["sleeper ended (signal SIGKILL); starting again in 1 s"]
    assert not is_alive(child.process.pid)


@pytest.mark.parametrize("gives_back", [True, False])
def test_one_that_does_not_end_may_give_back_its_jobs_and_is_killed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gives_back: bool
) -> None:
    monkeypatch.setattr(processes, "SECONDS_TO_GIVE_BACK", 600.0 if gives_back else 0.1)
    said: list[str] = []
    deaf, given_back = tmp_path / "deaf", tmp_path / "given back"
    at_quit = f"lambda *_: (pathlib.Path({str(given_back)!r}).touch(), sys.exit())" if gives_back else "signal.SIG_IGN"
    script = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"signal.signal(signal.SIGQUIT, {at_quit}); pathlib.Path({str(deaf)!r}).touch(); time.sleep(600)"
    )
    with running(ProcessPlan("mule", ("-c", script)), patience_seconds=0.4, say=said.append) as [child]:
        assert eventually(deaf.exists)
    assert given_back.exists() == gives_back
    assert not is_alive(child.process.pid)
    assert said == ["mule did not end within 0 s and was killed"]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_supervisor_that_is_killed_leaves_nobody_behind(tmp_path: Path) -> None:
    script = (
        "import sys, time; from annotation.management.processes import ProcessPlan, ChildProcess; "
        f"print(ChildProcess(ProcessPlan('sleeper', {SLEEP!r})).process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        orphan = int(supervisor.stdout.readline())
        assert is_alive(orphan)
        # Until setpriv has asked the kernel for the signal and become the child, nothing binds it to its parent.
        assert eventually(lambda: Path(f"/proc/{orphan}/comm").read_text() != "setpriv\n")
        supervisor.kill()
    assert eventually(lambda: not is_alive(orphan))


def test_the_clock_ticks_beside_the_control_queue_only() -> None:
    assert [plan.name for plan in worker_plans(("gpu", "control"))] == ["gpu", "control", "files", "clock"]
    assert [plan.name for plan in worker_plans(("gpu",))] == ["gpu", "files"]


def test_an_unknown_queue_is_refused() -> None:
    with pytest.raises(CommandError, match="there is no queue gnu; there are gpu, endpoints, control"):
        call_command("worker", queues="gnu,control", stdout=StringIO())


def test_the_embedded_queue_gives_each_message_to_one_of_two_readers_and_keeps_none(tmp_path: Path) -> None:
    file = tmp_path / "broker.sqlite3"
    url = f"sqla+sqlite:///{file}"
    sent = {f"message {number}" for number in range(40)}
    with Connection(url) as connection:
        queue = connection.SimpleQueue("work")
        for message in (*sent, "the end", "the end"):  # each reader takes one end
            queue.put(message)
        queue.close()
    read = (
        "import sys, config.celery; from kombu import Connection\n"
        f"queue = Connection({url!r}).SimpleQueue('work')\n"
        "while True:\n"
        "    message = queue.get(timeout=600); message.ack()\n"
        "    if message.payload == 'the end': break\n"
        "    print(message.payload)\n"
    )
    readers = [subprocess.Popen([sys.executable, "-c", read], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    got = [line for reader in readers for line in reader.communicate()[0].splitlines()]
    assert sorted(got) == sorted(sent)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT count(*) FROM kombu_message").fetchone() == (0,)


def test_scoring_is_delivered_before_images_that_were_asked_for_earlier(tmp_path: Path) -> None:
    """With the tasks and routes as they are: another study's images do not hold up a study that can be scored."""
    app = config.celery.app
    with Connection(f"sqla+sqlite:///{tmp_path / 'broker.sqlite3'}") as connection:
        for name in ("generation", "generation", "scoring", "generation", "scoring"):
            app.signature(f"{name}.tasks.run_{name}_job").apply_async(connection=connection)
        queue = connection.SimpleQueue("gpu")
        taken = []
        for _ in range(5):
            message = queue.get(timeout=600)
            taken.append(message.headers["task"].partition(".")[0])
            message.ack()
    assert taken == ["scoring", "scoring", "generation", "generation", "generation"]


def test_two_processes_make_the_embedded_queue_at_once(tmp_path: Path) -> None:
    file = tmp_path / "broker.sqlite3"
    others = 0

    def another_is_quicker(*_: object, **__: object) -> None:
        nonlocal others
        others += 1
        if others == 1:  # it makes the tables itself, and gets here for that
            metadata.create_all(create_engine(f"sqlite:///{file}"))

    with Connection(f"sqla+sqlite:///{file}") as connection:
        event.listen(metadata, "before_create", another_is_quicker)
        try:
            queue = connection.SimpleQueue("work")
        finally:
            event.remove(metadata, "before_create", another_is_quicker)
        queue.put("message")
        assert queue.get(timeout=600).payload == "message"
    assert others


def test_a_job_that_begins_while_its_process_is_told_to_stop_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, bool]] = []
    monkeypatch.setattr(Request, "on_accepted", lambda *_: None)
    monkeypatch.setattr(Request, "cancel", lambda _, pool, emit_retry: asked.append((pool, emit_retry)))
    monkeypatch.setattr(Line, "pool", "the pool")
    request = object.__new__(JobRequest)
    for is_ending in (None, True):
        monkeypatch.setattr(state, "should_terminate", is_ending)
        request.on_accepted("12", 0.0)
    assert asked == [("the pool", False)]
