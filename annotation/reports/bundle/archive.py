"""Write and read zip files with an index of hashes. Equal members give equal bytes; hostile files are refused.

Nothing is unpacked to disk, so a name in an archive leads nowhere.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from generation.tables.json_text import parse_json
from jobs.refusals import Refused
from jobs.zip_files import zip_entry

INDEX = "bundle.json"
MAX_MEMBERS = 10_000
MAX_BYTES = 16 * 2**30  # of all members unpacked; a streamed member takes no memory
MAX_BYTES_IN_MEMORY = 2**30  # of one member that is read whole

_LEVEL = 6
# The exceptions of zipfile for bytes that are no zip file, truncated, encrypted, or compressed in an unknown way.
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
# A bundle of a million votes compresses to a tenth; a ratio above this is meant to fill a memory or a disk.
_MAX_RATIO, _LARGE = 200, 256 * 2**20

LONGEST_NAME_SHOWN = 60
Contents = bytes | Iterable[bytes]


def canonical_json(document: Any) -> bytes:
    """Return the one spelling of a JSON document: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


# --- writing ------------------------------------------------------------------------------------
def write_member(file: ZipFile, name: str, contents: Contents) -> dict[str, Any]:
    """Write a member and return its entry in the index.

    An entry has `sha256` and `byte_count`; that of a CSV table also `row_count` and `rows_sha256` (of its lines after
    the head).
    """
    digest, count = hashlib.sha256(), 0
    info = zip_entry(name)
    info._compresslevel = _LEVEL  # type: ignore[attr-defined]
    with file.open(info, "w", force_zip64=True) as member:
        for chunk in [contents] if isinstance(contents, bytes) else contents:
            digest.update(chunk)
            count += len(chunk)
            member.write(chunk)
    entry: dict[str, Any] = {"sha256": digest.hexdigest(), "byte_count": count}
    return entry | _rows(contents) if isinstance(contents, bytes) and name.endswith(".csv") else entry


def write_index(file: ZipFile, index: dict[str, Any]) -> str:
    """Write the index as the last member and return its SHA-256, which vouches for all members."""
    raw = canonical_json(index)
    write_member(file, INDEX, raw)
    return hashlib.sha256(raw).hexdigest()


def _rows(table: bytes) -> dict[str, Any]:
    rows = table.partition(b"\n")[2]
    return {"row_count": rows.count(b"\n"), "rows_sha256": hashlib.sha256(rows).hexdigest()}


# --- reading ------------------------------------------------------------------------------------
class Archive:
    """An open archive. index: the document; sha256: its hash."""

    def __init__(self, file: ZipFile, path: Path) -> None:
        self._file, self.path = file, path
        self._sizes = _checked_sizes(file, path)
        raw = self.read(INDEX)
        self.sha256 = hashlib.sha256(raw).hexdigest()
        self.index: dict[str, Any] = parse_json(raw)
        listed = self.index.get("members") if isinstance(self.index, dict) else None
        if not isinstance(listed, dict) or not all(map(_has_hash, listed.values())):
            raise Refused(f"{path} is not a replay bundle: its {INDEX} does not name the hash of each member.")
        self._listed: dict[str, dict[str, Any]] = listed

    def read(self, name: str) -> bytes:
        """Return a member's bytes. Raises Refused if it is missing or too large to be read whole."""
        if name not in self._sizes:
            raise Refused(f"{self.path} is not a replay bundle: it has no {_shown(name)}.")
        if self._sizes[name] > MAX_BYTES_IN_MEMORY:
            raise Refused(f"{name} in {self.path} is larger than {MAX_BYTES_IN_MEMORY:,} bytes; it was not read.")
        return self._file.read(name)

    def stream(self, name: str) -> IO[bytes]:
        """Open a member to read it in pieces."""
        return self._file.open(name)

    @property
    def names(self) -> list[str]:
        """The members without the index, in order of their names."""
        return sorted(set(self._sizes) - {INDEX})

    def faults(self) -> list[str]:
        """Return each member that differs from the index, as "name: fault"; nothing if every hash holds."""
        missing = [f"{_shown(name)}: missing" for name in sorted(self._listed.keys() - self._sizes.keys())]
        return missing + [f"{_shown(name)}: {fault}" for name in self.names if (fault := self._fault(name))]

    def _fault(self, name: str) -> str:
        if name not in self._listed:
            return "not in the index"
        try:
            with self.stream(name) as member:
                digest = hashlib.file_digest(member, "sha256")  # type: ignore[arg-type]  # a member has readinto
        except _DAMAGE:
            return "cannot be read"
        return "" if digest.hexdigest() == self._listed[name]["sha256"] else "changed"


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive with an index. Raises Refused, in one sentence, for any other file and for a damaged one."""
    try:
        with ZipFile(path) as file:
            yield Archive(file, path)
    except FileNotFoundError as error:
        raise Refused(f"There is no file {path}.") from error
    except _DAMAGE as error:
        reason = str(error).strip() or type(error).__name__
        raise Refused(f"{path} is damaged or is not a replay bundle: {reason.splitlines()[0][:200]}.") from error
    except (LookupError, TypeError, AttributeError) as error:  # whose words are about the program, not about the file
        raise Refused(f"{path} is damaged or is not a replay bundle: it does not hold what a bundle holds.") from error


def _has_hash(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str)


def _shown(name: str) -> str:
    """Return a member's name as it may be shown: it is a stranger's text."""
    return name if name.isprintable() and len(name) <= LONGEST_NAME_SHOWN else ascii(name)[1:-1][:LONGEST_NAME_SHOWN]


def _checked_sizes(file: ZipFile, path: Path) -> dict[str, int]:
    """Return sizes by name. Raises Refused for members that only an attacker makes: too many, too large, doubled."""
    members = file.infolist()
    sizes = {member.filename: member.file_size for member in members}
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_BYTES:
        raise Refused(f"{path} unpacks to more than {MAX_MEMBERS:,} files or {MAX_BYTES:,} bytes; it was not read.")
    packed = sum(member.compress_size for member in members)
    if sum(sizes.values()) > max(_LARGE, _MAX_RATIO * packed):
        raise Refused(f"{path} unpacks to more than {_MAX_RATIO} times its size; it was not read.")
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
        raise Refused(f"{path} is packed in another way than bundles are; it was not read.")
    if len(sizes) < len(members):
        raise Refused(f"{path} holds two members of one name; it was not read.")
    return sizes
