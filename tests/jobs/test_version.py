"""The version and the commit of the code."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import version
from jobs.version import commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    commit.cache_clear()
    yield
    commit.cache_clear()


def test_the_version_is_the_product_s() -> None:
    assert version.version().count(".") == 2


def test_the_commit_of_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMBLANCE_COMMIT", COMMIT)
    assert commit() == COMMIT


def test_the_commit_of_a_clone_and_of_its_worktree(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert version._checked_out(git) == ""
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert version._checked_out(git) == COMMIT
    (git / "refs/heads/main").write_text("f" * 40 + "\n")
    assert version._checked_out(git) == "f" * 40
    inside = git / "worktrees/other"
    inside.mkdir(parents=True)
    (inside / "HEAD").write_text(COMMIT)
    (inside / "commondir").write_text("../..\n")
    (tmp_path / "other.git").write_text(f"gitdir: {inside}\n")
    assert version._checked_out(tmp_path / "other.git") == COMMIT
    (inside / "HEAD").write_text("ref: refs/heads/main\n")
    assert version._checked_out(tmp_path / "other.git") == "f" * 40
    assert version._checked_out(tmp_path / "nowhere") == ""
