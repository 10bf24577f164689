"""The adapter that runs a command of the admin's: the request as JSON on its standard input, an image file from it.

docs/endpoints.md documents the contract. The prompt is never part of a command line, and no shell reads it.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import IO, Any

from generation.endpoints.definitions import Endpoint
from generation.endpoints.http_adapters import BESIDE_THE_IMAGE, CONTRACT, owner_of
from generation.endpoints.outcomes import Answer, ImageRequest, Moderated, TemporaryFailure
from generation.tables.foreign_values import bounded, plain_text
from jobs.refusals import Refused

IMAGES = ("image.png", "image.jpg", "image.jpeg", "image.webp")
REPORT = "provenance.json"
MODERATED = 10  # the exit status that refuses the content; 75 is EX_TEMPFAIL
LATER = 75
MOST_REPORT_BYTES = 2**16
MOST_ERROR_BYTES = 2**20
LONGEST_REASON = 300
LOOK_SECONDS = 0.05
MARK = "SEMBLANCE_COMMAND"  # in the environment of a command: its children inherit it, in a session of their own too
ROUNDS_OF_KILLING = 20  # a process may start another one while it is looked for
# `read` ends when the other end of its pipe is closed, which the kernel does also for a worker that is killed.
AFTER_THE_WORKER = f"""read -r line; kill -s KILL -- "-$1"
for process in /proc/[0-9]*; do
  if tr '\\0' '\\n' <"$process/environ" | grep -qxF -- "{MARK}=$2"; then kill -s KILL "${{process#/proc/}}"; fi
done 2>/dev/null
rm -rf -- "$2"
"""


def ask_command(endpoint: Endpoint, request: ImageRequest, *, image_bytes: int) -> Answer:
    """Run the command in an empty folder, and return the image that it wrote there."""
    with _empty_folder() as folder, TemporaryFile() as given, TemporaryFile() as errors:
        parameters = {**endpoint.extra, **request.parameters}
        sent = {"version": CONTRACT, "prompt": request.prompt, "seed": request.seed, "parameters": parameters}
        given.write(json.dumps(sent).encode())
        given.seek(0)
        status = _run(endpoint, folder, given, errors, most_bytes=image_bytes + BESIDE_THE_IMAGE)
        _check_status(endpoint, status, _last_words(errors))
        image = _image_in(endpoint, folder)
        report = _read(folder / REPORT, MOST_REPORT_BYTES)
        return _answer(_whole(endpoint, image, image_bytes), report)


@contextmanager
def _empty_folder() -> Iterator[Path]:
    """Yield a new folder, which is deleted afterwards; what cannot be deleted is left."""
    folder = mkdtemp(prefix="command-")
    try:
        yield Path(folder)
    finally:
        with suppress(OSError, RecursionError):
            shutil.rmtree(folder)


def _run(endpoint: Endpoint, folder: Path, given: IO[bytes], errors: IO[bytes], *, most_bytes: int) -> int:
    """Run the command until it ends, and return its exit status.

    Its process group and what it has started beside it are killed afterwards, also if this worker is killed meanwhile.
    Raises TemporaryFailure if the command takes too long, Refused if it cannot be started or writes too much.
    """
    owner, deadline = owner_of(endpoint), time.monotonic() + endpoint.seconds
    try:
        process = subprocess.Popen(
            endpoint.command,
            cwd=folder,
            env=_environment(endpoint, folder),
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as error:
        raise Refused(f"{owner}: its command cannot be started ({error.strerror}).") from None
    try:
        with _watched(process, folder):
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise TemporaryFailure(f"{owner}: its command did not end within {endpoint.seconds:g} s")
                if _size_of(folder) > most_bytes or os.fstat(errors.fileno()).st_size > MOST_ERROR_BYTES:
                    raise Refused(f"{owner}: its command writes more than {most_bytes:,} bytes.")
                time.sleep(LOOK_SECONDS)
            return process.returncode
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _kill_detached(folder)


def _kill_detached(folder: Path) -> None:
    """Kill what the command has started in other sessions, which its process group does not reach (Linux)."""
    mark = f"{MARK}={folder}".encode()
    for _round in range(ROUNDS_OF_KILLING):
        left = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if _has_line(path, mark)]
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if not left:
            return
        time.sleep(LOOK_SECONDS)


def _has_line(environment: Path, line: bytes) -> bool:
    try:
        return line in environment.read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return False


@contextmanager
def _watched(process: subprocess.Popen[bytes], folder: Path) -> Iterator[None]:
    """Run a second process that kills the command and deletes its folder if this worker is killed."""
    watch = ["/bin/sh", "-c", AFTER_THE_WORKER, "sh", str(process.pid), str(folder)]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as watcher:
        try:
            yield
        finally:
            watcher.kill()


def _environment(endpoint: Endpoint, folder: Path) -> dict[str, str]:
    """Return what the command sees: nothing of the worker's own but what the admin names, so no password either."""
    named = {name: os.environ[name] for name in endpoint.environment if name in os.environ}
    own = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(folder), "TMPDIR": str(folder)}
    return {**own, **named, MARK: str(folder)}


def _size_of(folder: Path) -> int:
    total = 0
    with suppress(RecursionError):  # of folders that are deeper than Python goes
        for place, _folders, names in os.walk(folder):
            for name in names:
                with suppress(OSError):  # deleted meanwhile
                    total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - pathlib is slow in a loop
    return total


def _last_words(errors: IO[bytes]) -> str:
    """Return the last line that the command wrote to standard error."""
    errors.seek(max(0, os.fstat(errors.fileno()).st_size - 4096))
    lines = errors.read(4096).decode(errors="replace").strip().splitlines()
    return plain_text(lines[-1], LONGEST_REASON) if lines else ""


def _check_status(endpoint: Endpoint, status: int, said: str) -> None:
    if status == 0:
        return
    if status == MODERATED:
        raise Moderated(said or "no reason given")
    words = f" It says: {said}" if said else ""
    if status == LATER:
        raise TemporaryFailure(f"{owner_of(endpoint)}: its command cannot make an image now.{words}", was_refused=True)
    raise Refused(f"{owner_of(endpoint)}: its command ended with status {status}.{words}")


def _image_in(endpoint: Endpoint, folder: Path) -> Path:
    found = [folder / name for name in IMAGES if os.path.lexists(folder / name)]
    if len(found) != 1:
        what = "several images" if found else "no image"
        raise Refused(f"{owner_of(endpoint)}: its command wrote {what}; one of {', '.join(IMAGES)} is wanted.")
    return found[0]


def _whole(endpoint: Endpoint, image: Path, most_bytes: int) -> bytes:
    data = _read(image, most_bytes + 1)
    if data is None or len(data) > most_bytes:
        raise Refused(
            f"{owner_of(endpoint)}: {image.name} of its command is no plain file of at most {most_bytes:,} bytes."
        )
    return data


def _read(path: Path, most_bytes: int) -> bytes | None:
    """Return the first bytes of a plain file; None if there is none. A link is not followed, a pipe not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most_bytes)


def _answer(data: bytes, report: bytes | None) -> Answer:
    try:
        said: Any = json.loads(report or b"{}")
    except (ValueError, RecursionError):
        said = {}
    if not isinstance(said, dict):
        said = {}
    model, revised = said.pop("model", ""), said.pop("revised_prompt", "")
    return Answer(data, model=plain_text(model, 200), revised_prompt=plain_text(revised), reported=bounded(said))
