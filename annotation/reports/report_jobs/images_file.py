"""All images of a study as one zip file, written by a job and stored for an hour, as the other downloads are.

While the study is sealed the file is as blind as the page. The sets of a prompt are in a random order, and so are their
images, as renditions that are made alike for every model. Prompts that still lack images are left out: a fuller set
would show which model made it. Once the study is closed, the file holds the recorded files by model and seed.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from django.db.models import Count, Max

from annotation.models import Study, StudyFileJob
from annotation.reports.progress import Progress
from annotation.reports.report_jobs.report_cache import stored_path
from annotation.reports.report_jobs.watched_jobs import claimed_row, job_progress, retry
from annotation.studies.comparisons import image_sets_of
from annotation.studies.current import current_manifest
from annotation.studies.sealing import is_sealed, shuffled
from generation.models import GeneratedImage
from generation.pictures import files, renditions
from jobs.leases import Lease
from jobs.messages import enqueue
from jobs.refusals import Refused
from jobs.whole_files import whole_file
from jobs.zip_files import zip_entry

NAME = "images.zip"
BLIND_RENDITION = "zoom"
T = TypeVar("T")


def request_images(study: Study) -> StudyFileJob:
    """Return the job of the study's images; enqueue it if there is no file yet or only an outdated one."""
    if not GeneratedImage.objects.filter(image_set__in=image_sets_of(study)).exists():
        raise Refused(f"{study} has no images yet.")
    if not any(_shown_sets(study)):
        raise Refused(f"{study} is sealed, and no prompt has all its images yet: the file holds only those that have.")
    job, is_new = StudyFileJob.objects.get_or_create(study=study)
    if is_new:
        enqueue([job])
    elif job.state != StudyFileJob.State.FAILED and current_images(job) is None:
        retry(job)
    return job


def current_images(job: StudyFileJob) -> Path | None:
    """Return the stored file if it holds the images as they are now, and as blind as the study is now; else None."""
    path = stored_path(job.key, NAME)
    is_current = job.state == StudyFileJob.State.DONE and job.key == _key(job.study)
    return path if is_current and path.exists() else None


def run_images_job(job: StudyFileJob, lease: Lease) -> None:
    """Write the file of a claimed job. A second run writes the same file."""
    key = _key(job.study)
    with whole_file(stored_path(key, NAME)) as path:
        write_images(job.study, path, job_progress(job, lease))
    claimed_row(job).update(key=key, percent=100, step="")


def write_images(study: Study, path: Path, progress: Progress) -> None:
    """Write the zip file, set by set. Images are compressed already, so they are stored as they are."""
    named = list(_named(study))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, image, rendition) in enumerate(named):
            progress(number / len(named), f"image {number + 1} of {len(named)}")
            contents = renditions.read(image, rendition) if rendition else files.read(image.path)
            archive.writestr(zip_entry(name, compression=zipfile.ZIP_STORED), contents)


def _named(study: Study) -> Iterator[tuple[str, GeneratedImage, str]]:
    """Yield the name of each image in the file, the image, and its rendition; empty for the recorded file."""
    is_blind = is_sealed(study, manifest=current_manifest(study))
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study)).order_by("image_set", "seed")
    by_set: dict[int, list[GeneratedImage]] = {}
    for image in images.select_related("image_set__diffusion_model"):
        by_set.setdefault(image.image_set_id, []).append(image)
    for number, sets in enumerate(_shown_sets(study), start=1):
        shown = shuffled(study, number, "zip", sets) if is_blind else sets
        for place, pk in enumerate(shown, start=1):
            folder = f"{number:05d}/{place}"
            listed = by_set.get(pk, [])
            for order, image in enumerate(shuffled(study, pk, "zip", listed) if is_blind else listed, start=1):
                if is_blind:
                    yield f"{folder}/{order:03d}.webp", image, BLIND_RENDITION
                else:
                    suffix = image.path.rpartition(".")[2]
                    yield f"{number:05d}/{_folder_name(image)}/{image.seed}.{suffix}", image, ""


def _shown_sets(study: Study) -> list[list[int]]:
    """Return the image sets of each prompt; none for one that lacks images while the study is sealed."""
    by_prompt = sets_by_prompt(study)
    if not is_sealed(study, manifest=current_manifest(study)):
        return by_prompt
    counted = image_sets_of(study).annotate(image_count=Count("images"))
    whole = {pk for pk, seeds, count in counted.values_list("pk", "seeds", "image_count") if count >= len(seeds)}
    return [sets if whole.issuperset(sets) else [] for sets in by_prompt]


def _folder_name(image: GeneratedImage) -> str:
    """Return the model's name without characters that a folder cannot have."""
    name = image.image_set.diffusion_model.name
    return "".join(sign if sign.isalnum() or sign in " -_." else "_" for sign in name).strip(" .") or "model"


def sets_by_prompt(study: Study) -> list[list[int]]:
    """Return the ids of the image sets of each prompt, in the order of the study."""
    found: dict[int, dict[int, None]] = {}
    rows = study.comparisons.order_by("position").values_list("prompt", "image_set_a", "image_set_b")
    for prompt, first, second in rows:
        found.setdefault(prompt, {}).update({first: None, second: None})
    return [list(sets) for sets in found.values()]


def _key(study: Study) -> str:
    """Return the hash of what the file depends on: the images, and whether they are shown blind."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study))
    seen = images.aggregate(count=Count("pk"), latest=Max("created_at"), last=Max("pk"))
    is_blind = is_sealed(study, manifest=current_manifest(study))
    shown = sum(map(len, _shown_sets(study)))
    return hashlib.sha256(f"{study.pk} {is_blind} {shown} {sorted(seen.items())}".encode()).hexdigest()
