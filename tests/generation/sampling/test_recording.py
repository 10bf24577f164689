"""Batches are recorded beside the sampling: whole or not at all, from the pixels in memory, and with sinks."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.pictures import files, local_folder
from generation.recorded_images.records import prepared
from generation.sampling import recording
from generation.sampling.recording import Recorder
from generation.sampling.sampling import Sampled
from jobs import claims
from jobs.leases import LeaseLost
from jobs.refusals import SetBack
from tests.generation.planned_sets import files_below, planned

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> GenerationJob:
    planned(seeds=[1, 2, 3, 4])
    job = claims.claim_next(GenerationJob.objects.all(), worker="here")
    assert job is not None
    return job


def batch(*seeds: int) -> list[Sampled]:
    rng = np.random.default_rng(1)
    return [Sampled(seed, rng.random((30, 40, 3), np.float32), {"seed": seed}) for seed in seeds]


def record(job: GenerationJob, *batches: Sequence[Sampled], sinks: Sequence[recording.Sink] = ()) -> None:
    with Recorder(job, job.seeds, sinks) as recorder:
        for one in batches:
            recorder.take(one)
            recorder.check()
        recorder.finish()


class Watching:
    """A sink that keeps what it is handed."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.stored: list[tuple[int, bytes]] = []

    def prepare(self, pictures: Sequence[Image.Image]) -> Sequence[Any]:
        self.threads.add(threading.get_ident())
        return [picture.tobytes() for picture in pictures]

    def store(self, images: Sequence[GeneratedImage], prepared: Sequence[Any]) -> None:
        assert GeneratedImage.objects.filter(pk__in=[image.pk for image in images]).count() == len(images)
        self.stored += [(image.seed, pixels) for image, pixels in zip(images, prepared, strict=True)]


def test_sinks_get_the_pixels_that_are_stored_and_no_file_is_read(
    job: GenerationJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Watching()
    with monkeypatch.context() as patch:
        patch.delattr(local_folder.LocalFolder, "read")
        record(job, batch(1, 2), batch(3, 4), sinks=[sink])
    assert threading.get_ident() not in sink.threads
    assert [seed for seed, _ in sink.stored] == [1, 2, 3, 4]
    for seed, pixels in sink.stored:
        assert files.open_image(job.image_set.images.get(seed=seed)).tobytes() == pixels


def test_a_folder_is_flushed_once_a_batch(job: GenerationJob, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").is_dir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    record(job, batch(1, 2, 3, 4))
    assert (flushed.count(True), flushed.count(False)) == (2, 16)  # images and renditions; each file once


@pytest.mark.parametrize(
    ("error", "raised"), [(OSError("disk full"), "disk full"), (MemoryError(), "The memory of the worker's machine")]
)
def test_a_fault_in_one_image_records_none_of_its_batch(
    job: GenerationJob, media_root: Path, error: Exception, raised: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: str, image: Image.Image) -> Any:
        if path.endswith("/4.png"):
            raise error
        return prepared(path, image)

    monkeypatch.setattr(recording, "prepared", failing)
    with pytest.raises((OSError, SetBack), match=raised):
        record(job, batch(1, 2), batch(3, 4))
    assert sorted(job.image_set.images.values_list("seed", flat=True)) == [1, 2]
    assert len(files_below(media_root)) == 8  # nothing of seed 3, no temporary file


def test_a_lost_lease_records_nothing(job: GenerationJob, media_root: Path) -> None:
    claims.release(job)
    with pytest.raises(LeaseLost):
        record(job, batch(1, 2))
    assert files_below(media_root) == []


def test_sampling_that_stops_throws_away_what_is_not_recorded(job: GenerationJob, media_root: Path) -> None:
    with suppress(KeyboardInterrupt), Recorder(job, job.seeds) as recorder:
        recorder.take(batch(1, 2))
        raise KeyboardInterrupt
    assert files_below(media_root) == []
    assert not ImageSet.objects.get().images.exists()


def test_few_batches_are_in_memory(job: GenerationJob) -> None:
    with Recorder(job, job.seeds) as recorder:
        recorder.take(batch(1, 2))
        recorder.take(batch(3, 4))
        assert len(recorder._waiting) == 1
        assert job.image_set.images.count() == 2
        recorder.finish()
    assert job.image_set.images.count() == 4
