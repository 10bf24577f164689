"""Files that killed processes left behind, and images whose rows are recorded but whose files are gone."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.pictures import files, renditions
from generation.pictures.image_storage import Staged
from generation.plans.image_sets import missing_seeds
from jobs.wording import storable

FOLDERS = ("image_sets", "renditions")


def recorded_paths(set_name: str) -> set[str]:
    """Return the paths of the images that rows name in a set's folder, and of their renditions."""
    if set_name != storable(set_name):  # no row can hold it
        return set()
    in_folder = GeneratedImage.objects.filter(path__startswith=f"image_sets/{set_name}/").order_by()
    images = set(in_folder.values_list("path", flat=True))
    return images.union(*(renditions.paths(image).values() for image in images))


def prepared_seeds(job: GenerationJob) -> list[int]:
    """Repair what a killed worker left of a job, and return the seeds without an image or without its file."""
    image_set = job.image_set
    lost = lost_seeds(image_set, job.seeds)
    renditions.mend(image_set.images.filter(seed__in=job.seeds).exclude(seed__in=lost))
    missing = [seed for seed in missing_seeds(image_set) if seed in job.seeds]
    if missing:
        remove_remains(image_set, missing)
    return [seed for seed in job.seeds if seed in {*missing, *lost}]


def remove_remains(image_set: ImageSet, seeds: Sequence[int]) -> None:
    """Delete what killed attempts left of these seeds, which have no image. Called by the holder of their job."""
    names, known = {str(seed) for seed in seeds}, recorded_paths(str(image_set.uid))
    for folder in FOLDERS:
        for file in list(files.stored(f"{folder}/{image_set.uid}")):
            # <seed>.png, <seed>-<hash>.png, <seed>-grid-160.webp, or any of these with .<random>.part
            if re.split(r"[.-]", PurePosixPath(file.path).name)[0] in names and file.path not in known:
                files.delete(file.path)


def lost_seeds(image_set: ImageSet, seeds: Sequence[int]) -> list[int]:
    """Return the seeds among these whose image is recorded, but whose file is gone."""
    images = image_set.images.filter(seed__in=seeds).values_list("seed", "path")
    return [seed for seed, path in images if not files.exists(path)]


def record_replacement(
    row: GeneratedImage, *, staged: Staged, sha256: str, byte_count: int, provenance: dict[str, Any]
) -> None:
    """Record a new file for a recorded image whose file is lost. The file is put only after the commit.

    So a transaction that fails leaves the image lost, and not with the file of another hash. All rows that show it get
    the new file's facts. If its content differs from what it was (another card, other versions), the provenance keeps
    the hash of the former one.
    """
    facts: dict[str, Any] = {"path": staged.path}
    if sha256 != row.sha256:
        note = {"replaces_sha256": row.sha256}
        facts |= {"sha256": sha256, "byte_count": byte_count, "provenance": {**provenance, **note}}
    GeneratedImage.objects.filter(path=row.path).update(**facts)
    row.refresh_from_db()
