"""Zip files that are the same bytes for the same members, indexed by hash; and reading one that may be hostile.

Nothing is ever unpacked to disk, so names in an archive lead nowhere.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from jobs.refusals import Refused

INDEX = "bundle.json"
MOST_MEMBERS = 10_000
MOST_BYTES = 16 * 2**30  # of all members unpacked; what is streamed takes no memory
MOST_BYTES_IN_MEMORY = 2**30  # of one member that is read whole

_CHUNK = 2**20
_LEVEL = 6
# Everything that zipfile raises on bytes that are no zip file, are cut off, encrypted, or packed in an unknown way.
_DAMAGE = (
    BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    ArithmeticError,
    MemoryError,
)
# A bundle of a million votes packs to a tenth; what packs to less than this is made to fill a memory or a disk.
_MOST_PACKED, _LARGE = 200, 256 * 2**20

Contents = bytes | Iterable[bytes]


def canonical_json(document: Any) -> bytes:
    """The one spelling of a JSON document: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


Entries = dict[str, dict[str, Any]]


def write_archive(
    path: Path, members: Iterable[tuple[str, Contents]], *, about: Callable[[Entries], dict[str, Any]]
) -> str:
    """Write the members and, last, the index: each member's hash, and what `about` says of them. Returns the SHA-256
    of the index.

    The index names of every member `sha256` and `byte_count`, and of a CSV table also `row_count` and `rows_sha256`
    (its lines after the head). Who knows the index's hash knows that nothing was changed.
    """
    with ZipFile(path, "w") as file:
        entries = {name: _write(file, name, contents) for name, contents in members}
        index = canonical_json({**about(entries), "members": entries})
        _write(file, INDEX, index)
    return hashlib.sha256(index).hexdigest()


def _write(file: ZipFile, name: str, contents: Contents) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    info = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type, info.create_system, info.external_attr = ZIP_DEFLATED, 3, 0o644 << 16
    info._compresslevel = _LEVEL  # type: ignore[attr-defined]
    with file.open(info, "w", force_zip64=True) as member:
        for chunk in [contents] if isinstance(contents, bytes) else contents:
            digest.update(chunk)
            count += len(chunk)
            member.write(chunk)
    entry: dict[str, Any] = {"sha256": digest.hexdigest(), "byte_count": count}
    return entry | _rows(contents) if isinstance(contents, bytes) and name.endswith(".csv") else entry


def _rows(table: bytes) -> dict[str, Any]:
    rows = table.partition(b"\n")[2]
    return {"row_count": rows.count(b"\n"), "rows_sha256": hashlib.sha256(rows).hexdigest()}


class Archive:
    """An open archive; `index` is what its index says, `sha256` the index's hash."""

    def __init__(self, file: ZipFile, path: Path) -> None:
        self._file, self.path = file, path
        self._sizes = _checked_sizes(file, path)
        raw = self.read(INDEX)
        self.sha256 = hashlib.sha256(raw).hexdigest()
        self.index: dict[str, Any] = json.loads(raw)
        self._listed: dict[str, dict[str, Any]] = self.index["members"]
        if not all(isinstance(entry["sha256"], str) for entry in self._listed.values()):
            raise ValueError("its index names no hashes")

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises Refused where it is missing or too large to be read whole."""
        if name not in self._sizes:
            raise Refused(f"{self.path} is no replay bundle: it has no {name}.")
        if self._sizes[name] > MOST_BYTES_IN_MEMORY:
            raise Refused(f"{name} in {self.path} is larger than {MOST_BYTES_IN_MEMORY:,} bytes; it was not read.")
        return self._file.read(name)

    def stream(self, name: str) -> IO[bytes]:
        """A member, read bit by bit."""
        return self._file.open(name)

    @property
    def names(self) -> list[str]:
        """Every member but the index, in order of their names."""
        return sorted(set(self._sizes) - {INDEX})

    def faults(self) -> list[str]:
        """Every member that is not what the index says, as "name: what is wrong"; empty where every hash holds."""
        found = [f"{name}: missing" for name in sorted(self._listed.keys() - self._sizes.keys())]
        return found + [f"{name}: {fault}" for name in self.names if (fault := self._fault(name))]

    def _fault(self, name: str) -> str:
        if name not in self._listed:
            return "not in the index"
        try:
            digest = self._digest(name)
        except _DAMAGE:
            return "cannot be read"
        return "" if digest == self._listed[name]["sha256"] else "changed"

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.stream(name) as member:
            while chunk := member.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """An archive that `write_archive` made. Raises Refused, in one sentence, for any other file, also a damaged one."""
    try:
        with ZipFile(path) as file:
            yield Archive(file, path)
    except FileNotFoundError as error:
        raise Refused(f"There is no file {path}.") from error
    except (*_DAMAGE, LookupError, TypeError, AttributeError) as error:
        reason = str(error).strip() or type(error).__name__
        raise Refused(f"{path} is damaged or no replay bundle: {reason.splitlines()[0][:200]}.") from error


def _checked_sizes(file: ZipFile, path: Path) -> dict[str, int]:
    """Sizes by name; Refused for what only an attacker makes: too many members, too large, or a name twice."""
    members = file.infolist()
    sizes = {member.filename: member.file_size for member in members}
    if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_BYTES:
        raise Refused(f"{path} unpacks to more than {MOST_MEMBERS:,} files or {MOST_BYTES:,} bytes; it was not read.")
    packed = sum(member.compress_size for member in members)
    if sum(sizes.values()) > max(_LARGE, _MOST_PACKED * packed):
        raise Refused(f"{path} unpacks to more than {_MOST_PACKED} times its size; it was not read.")
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
        raise Refused(f"{path} is packed in another way than bundles are; it was not read.")
    if len(sizes) < len(members):
        raise Refused(f"{path} holds two members of one name; it was not read.")
    return sizes
