"""Hash files of weights, each of them once: 36 GB take minutes, which would pass before every first image."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from jobs.whole_files import write

LARGE = 2**20  # bytes from which a hash is kept on disk
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256_of(files: Iterable[Path], *, root: Path) -> str:
    """Return one hash of several files: of their names below `root` and their contents, in the order of the names.

    The same files of one commit give the same hash, whether they lie in a folder or in the hub's cache.
    """
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(root).as_posix()} {sha256_of_file(file)}\n".encode())
    return total.hexdigest()


def sha256_of_file(file: Path) -> str:
    """Return a file's hash: from its name in the hub's cache, from what was computed before, or computed."""
    real = file.resolve()
    if real.parent.name == "blobs" and _SHA256.fullmatch(real.name):
        return real.name  # the hub's cache names large files by their hash; the download has verified it
    stat = real.stat()
    return _sha256(real, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256(file: Path, size: int, changed_at: int) -> str:
    """Hash a file. A file of the same path, size and time of change is not read again, in any process."""
    identity = {"path": os.fspath(file), "size": size, "changed_at": changed_at}
    if size < LARGE:
        return _computed(file)
    note = Path(settings.VAR_DIR) / "hashes" / f"{hashlib.sha256(os.fsencode(file)).hexdigest()}.json"
    known = _read(note)
    if known.get("sha256") and known == identity | {"sha256": known["sha256"]}:
        return str(known["sha256"])
    computed = _computed(file)
    with suppress(OSError):  # a full or read-only disk costs only the next computation
        write(note, json.dumps(identity | {"sha256": computed}).encode())
    return computed


def _computed(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(note: Path) -> dict[str, Any]:
    try:
        known = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
