"""The hub's cache on this machine, in the layout that huggingface_hub documents, and the listings of repositories.

    models--OWNER--NAME/blobs/HASH                     the contents: of LFS files by SHA-256, else by git's hash
    models--OWNER--NAME/snapshots/COMMIT/PATH          links to them

A listing never changes, because it is that of a commit; it is kept in the var folder.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from jobs.whole_files import write


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its size in bytes, and the hash that names its content in the cache."""

    size: int
    blob: str
    is_large: bool  # stored as LFS: `blob` is the SHA-256 of the content, not git's hash


def cache_folder() -> Path:
    """Return the folder of the hub's cache (HF_HOME, HF_HUB_CACHE)."""
    from huggingface_hub import constants  # imported here: the web server does without it

    return Path(constants.HF_HUB_CACHE)


def storage(repository: str) -> Path:
    """Return the folder of a repository in the cache."""
    return cache_folder() / f"models--{repository.replace('/', '--')}"


def snapshot(repository: str, revision: str) -> Path:
    """Return the folder of a commit in the cache."""
    return storage(repository) / "snapshots" / revision


@dataclass(frozen=True)
class HubListing:
    """The files of a commit of a repository, as the hub listed them."""

    repository: str
    revision: str
    files: Mapping[str, HubFile]
    is_whole: bool = True

    @property
    def name(self) -> str:
        """The repository and the beginning of its commit."""
        return f"{self.repository}@{self.revision[:12]}"

    def names(self) -> Mapping[str, HubFile]:
        """Return the paths of all files."""
        return self.files

    def read(self, name: str) -> str:
        """Return the text of a fetched file. Raises FileNotFoundError if it was not fetched."""
        return (snapshot(self.repository, self.revision) / name).read_text()

    def has(self, name: str) -> bool:
        """Return whether a file is in the cache as a whole."""
        try:
            return (snapshot(self.repository, self.revision) / name).stat().st_size == self.files[name].size
        except OSError:
            return False

    def part(self, name: str) -> Path:
        """Return the path of the part of a file that has arrived."""
        return storage(self.repository) / "blobs" / f"{self.files[name].blob}.incomplete"

    def put_in_place(self, name: str) -> None:
        """Make a complete part a blob of the cache, and link the file to it."""
        part = self.part(name)
        blob = part.with_suffix("")
        if part.exists():
            part.replace(blob)
        link = snapshot(self.repository, self.revision) / name
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_name(f".{link.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(blob, link.parent))
        new.replace(link)


def known_listing(repository: str, revision: str) -> HubListing | None:
    """Return the listing of a commit if this installation has asked for it before."""
    try:
        document = json.loads(_note(repository, revision).read_bytes())
        files = {str(name): HubFile(**values) for name, values in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return HubListing(repository, revision, files)


def keep_listing(listing: HubListing) -> None:
    """Keep the listing of a commit, for the time without a network too."""
    document = {name: asdict(file) for name, file in listing.files.items()}
    write(_note(listing.repository, listing.revision), json.dumps(document).encode())


def _note(repository: str, revision: str) -> Path:
    return Path(settings.VAR_DIR) / "hub" / f"{repository.replace('/', '--')}@{revision}.json"
