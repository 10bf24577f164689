"""Files that are whole or absent, and whose fault it is if one cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from jobs.refusals import Refused
from jobs.whole_files import sweep, whole_file, write, write_all_or_refuse
from tests.generation.planned_sets import files_below


def test_writing_leaves_one_whole_file(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.png", b"first")
    write(tmp_path / "a" / "1.png", b"second")
    assert files_below(tmp_path) == ["a/1.png"]
    assert (tmp_path / "a" / "1.png").read_bytes() == b"second"


def test_sweeping_takes_what_killed_processes_left_of_this_file_only(tmp_path: Path) -> None:
    for name in ("1.png", "1.png.aa.part", "11.png.aa.part", "2.png.aa.part"):
        (tmp_path / name).touch()
    sweep(tmp_path / "1.png")
    assert files_below(tmp_path) == ["1.png", "11.png.aa.part", "2.png.aa.part"]


def test_a_link_stays_and_no_device_or_pipe_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("votes.csv")
    assert write_all_or_refuse({tmp_path / "link": b"votes"}) == [tmp_path / "link"]
    assert (tmp_path / "votes.csv").read_bytes() == b"votes"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "stdout").symlink_to("pipe")
    for name in ("pipe", "stdout"):
        with pytest.raises(Refused, match=f"{name} is a device or a pipe: name a file"):
            write_all_or_refuse({tmp_path / name: b"votes"})
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("barred", ["first.csv", "second.csv"])
def test_of_several_files_all_or_none_are_written(tmp_path: Path, barred: str) -> None:
    (tmp_path / barred).mkdir()
    files = {tmp_path / "first.csv": b"1", tmp_path / "second.csv": b"2"}
    with pytest.raises(Refused, match=f"{barred} cannot be written: it is a folder"):
        write_all_or_refuse(files)
    assert files_below(tmp_path) == []
    (tmp_path / barred).rmdir()
    write_all_or_refuse(files)
    assert files_below(tmp_path) == ["first.csv", "second.csv"]


def test_what_could_not_be_written_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    below = tmp_path / "file" / "below" / "votes.csv"
    with pytest.raises(Refused, match=f"{below} cannot be written: Not a directory"), whole_file(below):
        pass
    with pytest.raises(Refused, match="folder cannot be written: it is a folder"), whole_file(tmp_path / "folder"):
        pass
    with (
        pytest.raises(Refused, match=r"votes\.csv cannot be written: No such file"),
        whole_file(tmp_path / "votes.csv"),
    ):
        pass  # the temporary file was never made
    with pytest.raises(Refused, match=r"votes\.csv cannot be written: No space"), whole_file(tmp_path / "votes.csv"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as of an open file
    assert files_below(tmp_path) == ["file"]


def test_another_file_that_could_not_be_read_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"1\.png"), whole_file(tmp_path / "bundle.zip") as path:
        path.write_bytes((tmp_path / "1.png").read_bytes())
    assert files_below(tmp_path) == []
