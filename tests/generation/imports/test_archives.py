"""Zip files of strangers: each trap is refused with a sentence that names the file, and nothing leaves the folder."""

import contextlib
import io
import shutil
import stat
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest

from generation.imports import archives
from generation.imports.archives import unpack
from jobs.refusals import Refused

LIMITS: dict[str, Any] = {"most_bytes": 10_000, "most_file_bytes": 5_000, "room": 10**9}


def zipped(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return path


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def packed(name: str, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    return info


def unpacked(archive: Path, **limits: Any) -> list[str]:
    folder = archive.parent / "unpacked"
    folder.mkdir()
    unpack(archive, folder, **(LIMITS | limits))
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "images.zip"


def test_images_and_a_manifest_are_unpacked_without_what_file_managers_leave(archive: Path) -> None:
    names = ["alpha/a house/1.png", "alpha/a house/2.JPG", "manifest.csv", "Thumbs.db", "__MACOSX/x.bin", ".hidden/x"]
    assert unpacked(zipped(archive, *((name, b"x") for name in names))) == sorted(names[:3])


def test_a_folder_around_the_models_is_left_out(archive: Path) -> None:
    names = ["mine/alpha/a house/1.png", "mine/beta/a house/1.png"]
    assert unpacked(zipped(archive, *((name, b"x") for name in names))) == ["alpha/a house/1.png", "beta/a house/1.png"]


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("../evil.png", "../evil.png: a path must not leave its folder"),
        ("alpha/../../evil.png", "must not leave"),
        ("/etc/evil.png", "/etc/evil.png: a file's name must not be absolute"),
        ("C:/evil.png", "must not be absolute"),
        ("a\\b.png", "must have plain letters"),
        ("a//b.png", "must have plain letters"),
        ("a\nb/1.png", "must have plain letters"),
        (f"{'x' * 300}/1.png", "is longer than 255 bytes"),
        ("alpha/p/inner.zip", "alpha/p/inner.zip is an archive within the archive"),
        ("alpha/p/1.svg", "alpha/p/1.svg is not an image"),
        (link("alpha/p/1.png"), "alpha/p/1.png is a link or a device"),
        (packed("alpha/p/1.png", zipfile.ZIP_BZIP2), "alpha/p/1.png is packed by a method that is not read here"),
        (packed("alpha/p/1.png", zipfile.ZIP_LZMA), "alpha/p/1.png is packed by a method that is not read here"),
    ],
)
def test_each_trap_is_refused_by_its_name(archive: Path, entry: Any, sentence: str) -> None:
    zipped(archive, ("alpha/p/0.png", b"x"), (entry, b"/etc/passwd"))
    with pytest.raises(Refused) as refused:
        unpacked(archive)
    assert str(refused.value).startswith("images.zip, ")
    assert sentence in str(refused.value)
    outside = [file for file in archive.parent.rglob("*") if file.is_file() and file != archive]
    assert outside == []


def test_two_files_of_one_name_are_refused(archive: Path) -> None:
    zipped(archive, ("a/p/1.png", b"x"), ("a/P/1.png", b"y"))
    with pytest.raises(Refused, match=r"a/P/1.png is there twice"):
        unpacked(archive)


def test_sizes_are_limited_before_anything_is_written(archive: Path) -> None:
    zipped(archive, ("a/p/1.png", b"0" * 4_000), ("a/p/2.png", b"0" * 4_000))
    with pytest.raises(Refused, match=r"images\.zip, a/p/1\.png has 4,000 bytes; at most 3,000"):
        unpacked(archive, most_file_bytes=3_000)
    (archive.parent / "unpacked").rmdir()
    with pytest.raises(Refused, match=r"images\.zip holds 8,000 bytes unpacked; at most 7,000"):
        unpacked(archive, most_bytes=7_000)
    assert not list((archive.parent / "unpacked").iterdir())


@pytest.mark.parametrize("claimed", [10, 4_999])
def test_a_zip_that_lies_about_a_size_is_refused_by_the_files_name(archive: Path, claimed: int) -> None:
    zipped(archive, ("a/p/1.png", b"0" * 4_000))
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(signature) + offset, claimed)
    archive.write_bytes(bytes(content))
    with pytest.raises(Refused, match=r"images\.zip, a/p/1\.png (is damaged|is larger or smaller)"):
        unpacked(archive)
    written = archive.parent / "unpacked/a/p/1.png"
    assert not written.exists() or written.stat().st_size <= claimed


def test_damage_a_password_and_other_files_are_refused(archive: Path) -> None:
    zipped(archive, ("a/p/1.png", bytes(range(256)) * 10))
    content = bytearray(archive.read_bytes())
    content[60] ^= 0xFF
    archive.write_bytes(bytes(content))
    with pytest.raises(Refused, match=r"a/p/1\.png is damaged"):
        unpacked(archive)
    (archive.parent / "locked").mkdir()
    locked = zipped(archive.parent / "locked" / "images.zip", ("a/p/1.png", b"x"))
    content = bytearray(locked.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(bytes(content))
    with pytest.raises(Refused, match=r"a/p/1\.png is protected by a password"):
        unpacked(locked)
    other = archive.parent / "locked" / "other.zip"
    other.write_bytes(b"no zip at all")
    with pytest.raises(Refused, match=r"other\.zip cannot be read as a zip file"):
        unpack(other, archive.parent, **LIMITS)


def test_an_archive_without_images_or_with_too_many_files(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="holds no images: name them"):
        unpacked(zipped(archive, (".DS_Store", b"x")))
    monkeypatch.setattr(archives, "MOST_ENTRIES", 1)
    with pytest.raises(Refused, match="holds 2 files; at most 1"):
        unpack(zipped(archive, ("a/p/1.png", b"x"), ("a/p/2.png", b"x")), archive.parent, **LIMITS)


def test_a_zip_in_the_clothes_of_an_image_is_unpacked_as_a_file_only(archive: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as nested:
        nested.writestr("../evil.png", b"x")
    assert unpacked(zipped(archive, ("a/p/1.png", inner.getvalue()))) == ["a/p/1.png"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_damaged_archive_does_more_than_to_be_refused(tmp_path: Path, compression: int) -> None:
    """Mutated archives are unpacked or refused by one sentence, and write nothing outside their folder."""
    entries = [(f"alpha/höuse {number}/1.png", bytes(range(256))) for number in range(3)]
    whole = zipped(tmp_path / "whole.zip", *entries, compression=compression).read_bytes()
    chance, folder, unpacked_count = Random(7), tmp_path / "in" / "side", 0
    for number in range(75):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        archive = tmp_path / "damaged.zip"
        archive.write_bytes(damaged[: chance.randrange(10, len(damaged))] if number % 5 == 0 else damaged)
        folder.mkdir(parents=True)
        with contextlib.suppress(Refused):
            unpack(archive, folder, **LIMITS)
            unpacked_count += 1
        assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= LIMITS["most_bytes"]
        shutil.rmtree(folder)
    assert {path.name for path in tmp_path.iterdir()} == {"whole.zip", "damaged.zip", "in"}
    assert list((tmp_path / "in").iterdir()) == []
    assert 0 < unpacked_count < 50, "most are refused, and some damage is harmless"


def test_an_archive_that_the_disk_cannot_take_is_not_begun(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("a/p/1.png", b"x" * 600), ("a/p/2.png", b"x" * 600))
    with pytest.raises(OSError, match="No space left on device"):
        unpacked(archive, room=1_000)
    assert not list((tmp_path / "unpacked").iterdir())
