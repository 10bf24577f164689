"""Unpack a zip file of images that a stranger may have made, below a folder and within limits."""

import errno
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from generation.imports.layouts import LEFT_BEHIND, MANIFEST
from jobs.refusals import Refused

MOST_ENTRIES = 200_000
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".jar")
_BLOCK = 2**20
# What zipfile raises for bytes that are no zip file, or are packed in a way that it does not know.
_UNREADABLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error),
    *(NotImplementedError, EOFError, RuntimeError),
)
# zipfile unpacks a whole read of the others at once: 600 bytes of bzip2 took 1.2 GB of memory.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_LONGEST_NAME = 255  # bytes of one part of a path, as file systems have it


def refuse_path(path: str) -> None:
    """Raise Refused, with the path, unless it is relative, stays below its folder, and is no hidden trap.

    >>> refuse_path("alpha/a lighthouse/1.png")
    """
    parts = path.split("/")
    shown = path[:200].encode("utf-8", "backslashreplace").decode()
    if path.startswith("/") or _DRIVE.match(path):
        raise Refused(f"{shown}: a file's name must not be absolute.")
    if ".." in parts:
        raise Refused(f"{shown}: a path must not leave its folder (“..”).")
    if "\\" in path or not path.isprintable() or any(part in ("", ".") for part in parts):
        raise Refused(f"{shown!r}: a file's name must have plain letters, and / between its folders.")
    if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST_NAME for part in parts):
        raise Refused(f"{shown}: a part of the name is longer than {_LONGEST_NAME} bytes.")


def unpack(archive: Path, folder: Path, *, most_bytes: int, most_file_bytes: int, room: int, name: str = "") -> None:
    """Unpack the images and the manifest of a zip file into an empty folder. A folder around all of them is left out.

    most_bytes: of all files together; most_file_bytes: of one; room: of all, on the disk. name: what a
    refusal calls the archive. Raises OSError if the disk has no room.
    Raises Refused, naming the file, for anything but images: links, absolute paths and those that leave the folder,
    archives within the archive, two files of one name, more bytes than announced, damage, a password.
    """
    called = name or archive.name
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = list(_entries(opened, called))
            _refuse_sizes(entries, called, most_bytes, most_file_bytes)
            if sum(entry.file_size for entry in entries) > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), called)
            around = folder_around([entry.filename for entry in entries])
            for entry in entries:
                _write(opened, entry, folder.joinpath(*PurePosixPath(entry.filename).parts[around:]), called)
    except UnicodeDecodeError:
        raise Refused(f"{called} cannot be read as a zip file: a name in it is damaged.") from None
    except _UNREADABLE as error:
        raise Refused(f"{called} cannot be read as a zip file: {error}.") from None


def _entries(opened: zipfile.ZipFile, called: str) -> Iterator[zipfile.ZipInfo]:
    """Yield the files to unpack, without what file managers leave behind. Raises Refused for one that may not be."""
    infos, seen = opened.infolist(), set[str]()
    if len(infos) > MOST_ENTRIES:
        raise Refused(f"{called} holds {len(infos):,} files; at most {MOST_ENTRIES:,} at once.")
    for info in infos:
        where = f"{called}, {info.filename[:200]}"
        try:
            refuse_path(info.filename.rstrip("/"))
        except Refused as refusal:
            raise Refused(f"{called}, {refusal}") from None
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(f"{where} is a link or a device; zip the files themselves.")
        parts = PurePosixPath(info.filename).parts
        if info.is_dir() or any(part.startswith(".") or part.lower() in LEFT_BEHIND for part in parts):
            continue
        _refuse_kind(info, where)
        if info.filename.casefold() in seen:
            raise Refused(f"{where} is there twice.")
        seen.add(info.filename.casefold())
        yield info


def _refuse_kind(info: zipfile.ZipInfo, where: str) -> None:
    suffix = PurePosixPath(info.filename).suffix.lower()
    if info.flag_bits & 1:
        raise Refused(f"{where} is protected by a password; zip it without one.")
    if info.compress_type not in _METHODS:
        raise Refused(f"{where} is packed by a method that is not read here; zip it again by the usual one, deflate.")
    if suffix in ARCHIVE_SUFFIXES:
        raise Refused(f"{where} is an archive within the archive; unpack it first.")
    if suffix not in IMAGE_SUFFIXES and PurePosixPath(info.filename).name != MANIFEST:
        raise Refused(f"{where} is not an image: only {', '.join(IMAGE_SUFFIXES)} and {MANIFEST} are read.")


def _refuse_sizes(entries: list[zipfile.ZipInfo], called: str, most_bytes: int, most_file_bytes: int) -> None:
    if not entries:
        raise Refused(f"{called} holds no images: name them <model>/<prompt>/<seed>.png.")
    if large := next((entry for entry in entries if entry.file_size > most_file_bytes), None):
        raise Refused(f"{called}, {large.filename[:200]} has {large.file_size:,} bytes; at most {most_file_bytes:,}.")
    if (total := sum(entry.file_size for entry in entries)) > most_bytes:
        raise Refused(f"{called} holds {total:,} bytes unpacked; at most {most_bytes:,}. Send it in several parts.")


def folder_around(paths: Sequence[str]) -> int:
    """Return 1 if one folder lies around the folders of the models (or the manifest), as some zippers make it.

    >>> folder_around(["images/alpha/a house/1.png", "images/beta/a house/1.png"])
    1
    """
    parts = [PurePosixPath(path).parts for path in paths]
    are_under_one = len({path[0] for path in parts}) == 1
    is_deeper = all(len(path) == 4 for path in parts) or any(path[1:] == (MANIFEST,) for path in parts)
    return int(are_under_one and is_deeper)


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, called: str) -> None:
    """Write one file, and no byte more than the archive announced."""
    where, left = f"{called}, {entry.filename[:200]}", entry.file_size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, target.open("xb") as file:
            while block := source.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    break
                file.write(block)
    except UnicodeDecodeError:
        raise Refused(f"{where} is damaged: its name is not the same in both places.") from None
    except _UNREADABLE as error:
        raise Refused(f"{where} is damaged: {error}.") from None
    except OSError as error:
        raise Refused(f"{where} cannot be stored: {error.strerror or error}.") from error
    if left:
        raise Refused(f"{where} is larger or smaller than the archive says.")
