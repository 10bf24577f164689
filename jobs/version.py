"""The version of this installation's code: of the product, and the commit if it is known."""

import os
import re
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _read_version
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_COMMIT = re.compile(r"[0-9a-f]{40}")


@cache
def version() -> str:
    """Return the product's version: that of pyproject.toml beside the code, else of what is installed."""
    try:
        with (_ROOT / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
    except FileNotFoundError:  # an image of the Dockerfile
        pass
    try:
        return version_of("semblance")
    except PackageNotFoundError:
        return "unknown"


@cache
def version_of(package: str) -> str:
    """Return the installed version of a package. Raises PackageNotFoundError. Reading one anew takes milliseconds."""
    return _read_version(package)


@cache
def commit() -> str:
    """Return the commit of the code: SEMBLANCE_COMMIT, else what a clone of the repository has checked out; or empty.

    Changes that were not committed are not noticed.
    """
    given = os.environ.get("SEMBLANCE_COMMIT", "")
    return given if given else _checked_out(_ROOT / ".git")


def _checked_out(git: Path) -> str:
    try:
        if git.is_file():  # a worktree: the file names its folder
            git = Path(git.read_text().removeprefix("gitdir:").strip())
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head if _COMMIT.fullmatch(head) else ""
        shared = git / "commondir"
        common = (git / shared.read_text().strip()).resolve() if shared.exists() else git
        return _commit_of(common, head.removeprefix("ref: "))
    except OSError:
        return ""


def _commit_of(git: Path, reference: str) -> str:
    if (loose := git / reference).is_file():
        return loose.read_text().strip()
    packed = git / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {reference}")), "")
