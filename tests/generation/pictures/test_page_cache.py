"""The bounded cache of renditions on the web server's disk."""

import os
from pathlib import Path

from generation.pictures.page_cache import PageCache


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_what_was_stored_is_read(tmp_path: Path) -> None:
    cache = PageCache(tmp_path / "cache", 10_000)
    assert cache.get("one") is None
    cache.put("one", b"first")
    assert PageCache(tmp_path / "cache", 10_000).get("one") == b"first"


def test_it_stays_within_its_bound_and_the_oldest_goes_first(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, 10_000)
    for number in range(50):
        cache.put(f"image {number}", bytes(1000))
        assert size(tmp_path) <= 10_000 + 1032
        for file in tmp_path.rglob("*"):  # each file is older than those that follow
            os.utime(file, (number, number)) if file.is_file() and file.stat().st_mtime > 1e6 else None
    assert cache.get("image 0") is None
    assert cache.get("image 49") == bytes(1000)


def test_a_copy_that_was_asked_for_again_stays(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, 5_000)
    for number in range(4):
        cache.put(f"image {number}", bytes(1000))
        for file in (file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_mtime > 1e6):
            os.utime(file, (number, number))
    assert cache.get("image 0") == bytes(1000)
    for number in range(4, 6):
        cache.put(f"image {number}", bytes(1000))
    assert cache.get("image 0") == bytes(1000)
    assert cache.get("image 1") is None


def test_a_cut_copy_is_no_copy(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, 10_000)
    cache.put("one", bytes(1000))
    [file] = [file for file in tmp_path.rglob("*") if file.is_file()]
    file.write_bytes(file.read_bytes()[:500])
    assert cache.get("one") is None
    file.write_bytes(b"")
    assert cache.get("one") is None


def test_a_disk_that_cannot_be_written_only_makes_it_slower(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    cache = PageCache(tmp_path / "cache", 10_000)
    cache.put("one", b"first")
    assert cache.get("one") is None


def test_more_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    cache = PageCache(tmp_path, 100)
    cache.put("one", bytes(1000))
    assert size(tmp_path) == 0
