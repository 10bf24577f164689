"""Several workers at once: one claim for a job, one set for a plan, one image for a seed."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from django.db import connection

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.recorded_images.records import record_image
from jobs import claims
from tests.generation.planned_sets import files_below, picture, planned

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]
WORKERS = 6
R = TypeVar("R")


def at_once(do: Callable[[int], R]) -> list[R]:
    """Call `do` in all workers at the same time, each with its own number and connection."""

    def in_thread(number: int) -> R:
        try:
            return do(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(in_thread, range(WORKERS)))


def test_each_job_is_claimed_once() -> None:
    ids = [planned(prompt=f"prompt {number}").jobs.get().pk for number in range(5)]

    def claim_all(number: int) -> list[int]:
        claimed = []
        while job := claims.claim_next(GenerationJob.objects.all(), worker=f"w{number}"):
            claimed.append(job.pk)
        return claimed

    taken = [pk for pks in at_once(claim_all) for pk in pks]
    assert sorted(taken) == ids
    assert set(GenerationJob.objects.values_list("attempt_count", flat=True)) == {1}


def test_one_plan_made_at_once_is_one_set() -> None:
    sets = at_once(lambda _: planned().pk)
    assert len(set(sets)) == ImageSet.objects.count() == 1
    assert GenerationJob.objects.count() == 1


def test_one_seed_recorded_at_once_is_one_image_whose_file_is_its_own(media_root: Path) -> None:
    image_set = planned(seeds=[1])
    at_once(lambda number: record_image(image_set=image_set, seed=1, image=picture(number), provenance={}))
    image = GeneratedImage.objects.get()
    assert hashlib.sha256((media_root / image.path).read_bytes()).hexdigest() == image.sha256
    assert len(files_below(media_root)) == 4
