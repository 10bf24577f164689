"""The contents of the installation's disk and database: files and bytes, and what may be removed.

Walking a folder of millions of files takes minutes, so bytes are counted at most once an hour. Images are counted by
their rows, which hold the size of each file.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Sum
from django.utils import timezone

from annotation.studies.audit import record
from generation.models import GeneratedImage
from jobs.refusals import Refused
from scoring.models import ImageEmbedding

KEY, SECONDS = "installation-storage", 3600
FLOAT_BYTES = 4
MOST_FILES = 200_000  # of one folder that a page walks; beyond it says "more than"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of the var folder. removal: what follows if it is removed; empty if it must stay.

    name: the setting's folder as addresses name it.
    """

    name: str
    label: str
    setting: str
    what: str
    removal: str = ""

    @property
    def path(self) -> Path:
        """The folder itself."""
        return Path(getattr(settings, self.setting)) if self.setting else Path(settings.VAR_DIR) / self.name


PLACES = (
    Place(
        "renditions",
        "Renditions",
        "",
        "The small pictures that annotators see, made from the images.",
    ),
    Place(
        "uploads",
        "Uploads",
        "UPLOADS_ROOT",
        "Files on their way into a study. Those that do not go on are deleted after a week.",
    ),
    Place(
        "reports",
        "Reports",
        "REPORTS_ROOT",
        "Finished reports and, for an hour, their large downloads.",
        "Each report is computed again when it is opened: seconds to minutes. No number changes.",
    ),
    Place(
        "prompt_cache",
        "Encoded prompts",
        "PROMPT_CACHE_ROOT",
        "Outputs of large text encoders, so that these are not loaded for each job.",
        "The next job of each model with large text encoders loads them again: minutes on a card.",
    ),
    Place(
        "compiled",
        "Compiled denoisers",
        "COMPILED_ROOT",
        "What torch.compile made for models with compile = true.",
        "Each worker compiles such a model again before its next image: a minute or more.",
    ),
    Place(
        "image-cache",
        "Copies of images",
        "IMAGE_CACHE_ROOT",
        "Copies of images of an object storage on this web host.",
        "Pages read these images from the object storage again.",
    ),
    Place("mail", "Mails", "", "Mails that were written to files, because no mail server is set (EMAIL_URL)."),
    Place("hub", "Listings of the hub", "", "Which files a commit of a hub repository has."),
    Place("hashes", "Hashes of weights", "", "So that no checkpoint is hashed twice."),
)
BY_NAME = {place.name: place for place in PLACES}


@dataclass(frozen=True, slots=True)
class Size:
    """The number of files in a place, and their bytes. is_more: the walk ended early, so both are lower limits."""

    files: int
    bytes: int
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """The values of the storage page. free, total: of the disk of the var folder, None if it cannot be read."""

    counted_at: datetime
    images: Size
    embeddings: Size
    database_bytes: int | None
    sizes: dict[str, Size]
    free: int | None
    total: int | None


def storage(*, is_anew: bool = False) -> Storage:
    """Return the sizes, counted at most an hour ago unless `is_anew`."""
    stored: Storage | None = None if is_anew else cache.get(KEY)
    if stored is None:
        stored = _counted()
        cache.set(KEY, stored, timeout=SECONDS)
    return stored


def _counted() -> Storage:
    images = GeneratedImage.objects.order_by().aggregate(files=Count("pk"), bytes=Sum("byte_count"))
    vectors = ImageEmbedding.objects.order_by().aggregate(files=Count("pk"), numbers=Sum("dimension"))
    return Storage(
        counted_at=timezone.now(),
        images=Size(images["files"], images["bytes"] or 0),
        embeddings=Size(vectors["files"], FLOAT_BYTES * (vectors["numbers"] or 0)),
        database_bytes=_database_bytes(),
        sizes={place.name: _size(_folder(place)) for place in PLACES},
        **_disk(),
    )


def _folder(place: Place) -> Path:
    return Path(settings.MEDIA_ROOT) / "renditions" if place.name == "renditions" else place.path


def _disk() -> dict[str, int | None]:
    try:
        disk = shutil.disk_usage(settings.VAR_DIR)
    except OSError:
        return {"free": None, "total": None}
    return {"free": disk.free, "total": disk.total}


def _database_bytes() -> int | None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    with suppress(OSError):
        return Path(connection.settings_dict["NAME"]).stat().st_size
    return None


def _size(folder: Path) -> Size:
    files = total = 0
    for size in _sizes(folder):
        files, total = files + 1, total + size
        if files >= MOST_FILES:
            return Size(files, total, is_more=True)
    return Size(files, total)


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # deleted meanwhile
                yield Path(place, name).lstat().st_size


def remove(name: str, *, actor: User) -> Size:
    """Remove what lies in a place, and return how much it was. Refused for a place that must stay."""
    place = BY_NAME.get(name)
    if place is None or not place.removal:
        raise Refused("Nothing was removed: this folder cannot be emptied here.")
    size = _size(place.path)
    with suppress(FileNotFoundError):
        for entry in list(place.path.iterdir()):
            with suppress(OSError):  # another process removed it first, or writes into it now
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    cache.delete(KEY)
    record("storage removed", actor=actor, place=place.label, files=size.files, bytes=size.bytes)
    return size
