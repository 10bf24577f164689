"""The names of checkpoints and LoRAs: a folder of this machine, or a pinned revision of the hub. Reads no weights."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from generation.weights.checkpoint_files import CheckpointFiles
from jobs.refusals import Refused

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def local_path(name: str, *, revision: str, owner: str) -> Path | None:
    """Return the local path of a checkpoint or LoRA; None for a hub id.

    Raises Refused if the path does not exist, or if a hub id has no pinned revision (a commit of 40 digits).
    """
    if path := on_disk(name):
        return path.resolve()
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise Refused(f"{owner}: there is no {name} on this machine; give a folder that exists, or a hub id.")
    if not _COMMIT.fullmatch(revision):
        raise Refused(
            f"{owner}: {name} is not a folder on this machine, and as a hub id it needs a pinned revision: "
            "the commit of 40 digits, not a branch."
        )
    return None


def shown(name: str) -> str:
    """Return a checkpoint's name without the folders of this machine."""
    return name if _HUB_ID.fullmatch(name) and not on_disk(name) else Path(name).name


def on_disk(name: str | Path) -> Path | None:
    """Return the path of that name if it exists; None also for a name that no file can have."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # longer than the file system allows, of a user that is not there
        return None


@dataclass(frozen=True)
class LocalListing:
    """The files of a local folder and of its folders, which is as deep as a checkpoint goes."""

    folder: Path
    is_whole: bool = True

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        if not self.folder.is_dir():
            return ()
        places = [self.folder, *(path for path in self.folder.iterdir() if path.is_dir() and os.access(path, os.R_OK))]
        files = (path for place in places for path in place.iterdir() if path.is_file())
        return tuple(sorted(path.relative_to(self.folder).as_posix() for path in files))

    def names(self) -> tuple[str, ...]:
        """Return the paths of the files below the folder."""
        return self._names

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.folder / name).read_text()

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        return (self.folder / name).is_file()


def local_listing(folder: Path, *, owner: str) -> LocalListing:
    """Return the listing of a local checkpoint. Raises Refused if it is a single file."""
    if folder.is_file():
        raise Refused(
            f"{owner}: {folder} is a single file; a checkpoint is a folder in the diffusers layout, with safetensors."
        )
    return LocalListing(folder)


@contextmanager
def linked(folder: Path, files: CheckpointFiles) -> Iterator[Path]:
    """Yield a temporary folder of links to exactly the chosen files, under the names that the libraries look for.

    So nothing else can be loaded, and a variant needs no support of the libraries.
    """
    with TemporaryDirectory(prefix="checkpoint-") as name:
        for path, file in files.links.items():
            link = Path(name) / path
            link.parent.mkdir(exist_ok=True)
            link.symlink_to((folder / file).absolute())
        yield Path(name)
