"""Talk to the hub: list a repository's files, and download one of them, resumed where it stopped and verified.

huggingface_hub gives the addresses, the token and the HTTP client with its proxies. Its own download function starts a
file of ten gigabytes again after a restart and pauses for at most eight seconds, so the bytes are read here.
"""

import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

from generation.hub.answers import Passing, endpoint, fault_of
from generation.hub.cache import HubFile, HubListing
from generation.hub.wanted import Wanted
from jobs.refusals import Refused

logger = logging.getLogger(__name__)

PIECE = 2**20  # bytes hashed at once
MOST_TRIES = 7  # without a new byte, pausing for a minute in all
LONGEST_PAUSE = 60.0
# A timeout of the network ends when the next byte comes, so a line that drips would hold a fetch for ever.
SLOWEST_BYTES = 2**16
SLOWEST_SECONDS = 60.0  # in which at least SLOWEST_BYTES of a file arrive, and a request is answered
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

Pause = Callable[[float], None]
T = TypeVar("T")


def wait(seconds: float) -> None:
    """Pause before the next try."""
    time.sleep(seconds)


def with_patience(do: Callable[[], Any], *, has_advanced: Callable[[], bool], pause: Pause) -> Any:
    """Return what `do` returns; a Passing fault is tried again after 1, 2, 4 … seconds, or as long as the hub asks.

    Raises the last Passing after MOST_TRIES tries during which nothing advanced, or no more than a drip.
    """
    failures = 0
    while True:
        try:
            return do()
        except Passing as fault:
            failures = 1 if has_advanced() and not fault.is_drip else failures + 1
            if failures >= MOST_TRIES:
                raise
            seconds = max(fault.wait_seconds, min(2.0 ** (failures - 1), LONGEST_PAUSE))
            logger.warning("the hub: %s; tried again in %.0f s", fault, seconds)
            pause(seconds)


def request_listing(wanted: Wanted) -> HubListing:
    """Ask the hub for all files of a commit. Raises Passing or Refused."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    _session(wanted)
    ask = partial(HfApi().model_info, wanted.repository, revision=wanted.revision, files_metadata=True, timeout=30)
    try:
        info = _in_time(ask)
    except HfHubHTTPError as error:
        answer = error.response
        raise fault_of(answer.status_code, answer.headers, wanted=wanted, file="", has_token=_has_token()) from error
    except OfflineModeIsEnabled:
        raise _offline(wanted) from None
    except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        raise Passing(_reason(error)) from error
    return HubListing(wanted.repository, wanted.revision, dict(_listed(info.siblings or ())))


def _listed(siblings: Iterable[Any]) -> Iterator[tuple[str, HubFile]]:
    """Yield the files that a hub lists, with names and hashes that can be used."""
    for sibling in siblings:
        blob = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        if not isinstance(sibling.size, int) or sibling.size < 0:
            raise Passing("it lists files without their sizes")  # a mirror that does not know the question
        if isinstance(blob, str) and _HASH.fullmatch(blob) and _is_inside(sibling.rfilename):
            yield sibling.rfilename, HubFile(sibling.size, blob, is_large=bool(sibling.lfs))


def _session(wanted: Wanted) -> Any:
    """Return the HTTP client. Raises Refused, naming the variables, if it cannot be made or cannot send the token."""
    import httpx2
    from huggingface_hub import get_session, get_token

    if not (get_token() or "").isascii():
        raise Refused(f"{wanted.owner}: HF_TOKEN holds characters that no token has: copy it again from the hub.")
    try:
        return get_session()
    except (ValueError, OSError, httpx2.InvalidURL) as error:
        raise Refused(
            f"{wanted.owner}: no connection to the hub can be set up ({type(error).__name__}): correct HTTPS_PROXY, "
            "HTTP_PROXY, ALL_PROXY, NO_PROXY or SSL_CERT_FILE of the worker."
        ) from error


def _in_time(ask: Callable[[], T]) -> T:
    """Return what `ask` returns. Raises Passing if that takes longer than SLOWEST_SECONDS; its thread is left alone."""
    answers: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="hub", daemon=True)
    thread.start()
    thread.join(SLOWEST_SECONDS)
    if errors:
        raise errors[0]
    if not answers:
        raise Passing(f"it did not answer within {SLOWEST_SECONDS:g} s", is_drip=True)
    return answers[0]


class _Pace:
    """Notices a line on which hardly anything comes."""

    def __init__(self) -> None:
        self._since, self._byte_count = time.monotonic(), 0

    def note(self, byte_count: int) -> None:
        """Count bytes that have arrived. Raises Passing if they were too few for too long."""
        self._byte_count += byte_count
        now = time.monotonic()
        if self._byte_count >= SLOWEST_BYTES:
            self._since, self._byte_count = now, 0
        elif now - self._since > SLOWEST_SECONDS:
            least = f"{SLOWEST_BYTES / 1000:.0f} kB in {SLOWEST_SECONDS:g} s"
            raise Passing(f"it sends less than {least}", is_drip=True)


def _is_inside(name: str) -> bool:
    """Return whether a file's name stays below the folder that holds the repository."""
    path = PurePosixPath(name)
    return (
        bool(path.name)
        and name.isprintable()
        and name == str(path)
        and not path.is_absolute()
        and ".." not in path.parts
    )


def download(listing: HubListing, name: str, *, wanted: Wanted, arrived: Callable[[int], None], pause: Pause) -> None:
    """Fetch one file into the cache. `arrived` gets the number of new bytes, first of those from an earlier try.

    Raises Passing if the hub stays away, Refused if it refuses, and OSError if the disk does.
    """
    part = listing.part(name)
    part.parent.mkdir(parents=True, exist_ok=True)
    size = _size(part)
    arrived(size)
    reported = size

    def report() -> None:
        nonlocal reported
        now = _size(part)
        arrived(now - reported)
        reported = now

    before = size

    def has_advanced() -> bool:
        nonlocal before
        after = _size(part)
        advanced, before = after > before, after
        return advanced

    with_patience(lambda: _go_on(listing, name, wanted=wanted, report=report), has_advanced=has_advanced, pause=pause)
    listing.put_in_place(name)


def _go_on(listing: HubListing, name: str, *, wanted: Wanted, report: Callable[[], None]) -> None:
    """Fetch what is missing of a file's part, and verify the whole file."""
    file, part = listing.files[name], listing.part(name)
    if _size(part) > file.size:
        part.unlink()
    blob = part.with_suffix("")
    if not part.exists() and _size(blob) == file.size and blob.exists():
        report()
        return  # another commit has the same file
    if _size(part) < file.size or not part.exists():
        _stream(listing, name, wanted=wanted, report=report)
    if _size(part) != file.size:
        raise Passing(f"the connection was cut after {_size(part)} of {file.size} bytes of {name}")
    if _hash(listing, name) != file.blob:
        part.unlink()
        report()
        raise Passing(f"{name} arrived damaged")


def _stream(listing: HubListing, name: str, *, wanted: Wanted, report: Callable[[], None]) -> None:
    import httpx2
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, by its documentation

    part = listing.part(name)
    start = _size(part)
    headers = {**build_hf_headers(), "accept-encoding": "identity"}
    if start:
        headers["range"] = f"bytes={start}-"
    url = hf_hub_url(listing.repository, name, revision=listing.revision, endpoint=endpoint())
    timeout, session = constants.HF_HUB_DOWNLOAD_TIMEOUT, _session(wanted)
    try:
        with ExitStack() as opened:
            stream_of = partial(session.stream, "GET", url, headers=headers, timeout=timeout)
            answer = _in_time(lambda: opened.enter_context(stream_of()))
            if answer.status_code == 416:  # the part is of another file
                part.unlink(missing_ok=True)
                raise Passing(f"{name} was begun wrongly")
            if answer.status_code == 403 and answer.history and "x-error-code" not in answer.headers:
                raise Passing("its content network answers 403")  # a signed address that has expired
            if answer.status_code not in (200, 206):
                raise fault_of(answer.status_code, answer.headers, wanted=wanted, file=name, has_token=_has_token())
            _receive(answer, listing, name, report=report)
    except OfflineModeIsEnabled:
        raise _offline(wanted) from None
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise Passing(_reason(error)) from error


def _receive(answer: Any, listing: HubListing, name: str, *, report: Callable[[], None]) -> None:
    """Write what comes to the end of a file's part. Raises Passing if it is too much, or comes too slowly."""
    part, pace = listing.part(name), _Pace()
    with part.open("ab" if answer.status_code == 206 else "wb") as stream:
        for piece in answer.iter_bytes():
            stream.write(piece)
            stream.flush()
            report()
            pace.note(len(piece))
            if stream.tell() > listing.files[name].size:  # it might never end
                part.unlink()
                raise Passing(f"{name} is longer than its listing says")
        os.fsync(stream.fileno())


def _hash(listing: HubListing, name: str) -> str:
    """Return the hash of a part as the hub names the content: SHA-256 for LFS files, git's hash for others."""
    file, part = listing.files[name], listing.part(name)
    git = partial(hashlib.sha1, b"blob %d\0" % file.size, usedforsecurity=False)
    total = hashlib.sha256() if file.is_large else git()
    with part.open("rb") as stream:
        while piece := stream.read(PIECE):
            total.update(piece)
    return total.hexdigest()


def _offline(wanted: Wanted) -> Refused:
    return Refused(
        f"{wanted.owner}: {wanted.repository} at {wanted.revision} is not on this machine, and HF_HUB_OFFLINE forbids "
        "reaching the hub; fetch it once without it, or give a local folder."
    )


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())


def _reason(error: Exception) -> str:
    """Return the kind of a network's fault; its text may hold addresses with signatures."""
    return f"the connection failed ({type(error).__name__})"


def _size(path: Any) -> int:
    try:
        return int(path.stat().st_size)
    except FileNotFoundError:
        return 0
