"""The generation task: run twice, half, late or never, the result is the same images."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.plans.image_sets import is_complete, missing_seeds
from generation.plans.orders import Order
from generation.recorded_images.records import record_image
from generation.sampling import job_row, recording, sampling
from generation.sampling.recording import Recorder
from generation.sampling.sampling import Sampled, sample_batches
from generation.tasks import run_generation_job
from jobs import claims, work
from jobs.leases import LeaseLost
from tests.generation.planned_sets import diffusion_model, files_below, only_job, picture, planned

pytestmark = pytest.mark.django_db
STATES = GenerationJob.State


@pytest.fixture
def image_set(tiny_models: Path) -> ImageSet:
    return planned(diffusion_model(checkpoint=str(tiny_models / "sdxl")), seeds=[5, 6, 7])


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the sampled seeds in order."""
    seen: list[int] = []

    def spy(order: Order, batches: Sequence[Sequence[int]], **arguments: Any) -> Iterator[list[Sampled]]:
        seen.extend(chain.from_iterable(batches))
        return sample_batches(order, batches, **arguments)

    monkeypatch.setattr(sampling, "sample_batches", spy)
    return seen


def state(image_set: ImageSet) -> tuple[str, str]:
    job = only_job(image_set)
    return job.state, job.error


def everything(media_root: Path) -> tuple[list[object], list[str]]:
    return list(GeneratedImage.objects.values_list()), files_below(media_root)


def test_run_twice(image_set: ImageSet, sampled: list[int], media_root: Path) -> None:
    run_generation_job()
    assert state(image_set) == (STATES.DONE, "")
    assert is_complete(image_set)
    before = everything(media_root)
    run_generation_job()
    assert everything(media_root) == before
    claims.requeue(GenerationJob.objects.all())  # as if it had never been settled
    run_generation_job()
    assert everything(media_root) == before
    assert sampled == [5, 6, 7]
    image = image_set.images.get(seed=6)
    assert (image.provenance["seed"], image.provenance["prompt"]) == (6, "a red cube")


def test_run_half(image_set: ImageSet, sampled: list[int], media_root: Path) -> None:
    record_image(image_set=image_set, seed=6, image=picture(), provenance={})
    left_over = media_root / "image_sets" / str(image_set.uid) / "5.png.00ff.part"
    left_over.write_bytes(b"of a worker that was killed")
    kept = image_set.images.get(seed=6)
    run_generation_job()
    assert sampled == [5, 6, 7]  # the batch is made whole again, so that its pixels are those of the plan
    assert is_complete(image_set)
    assert image_set.images.get(seed=6) == kept
    assert image_set.images.get(seed=7).provenance["batch"] == [5, 6, 7]
    assert not left_over.exists()


def test_a_file_that_is_gone_is_made_again(image_set: ImageSet, sampled: list[int], media_root: Path) -> None:
    run_generation_job()
    before = everything(media_root)
    (media_root / image_set.images.get(seed=6).path).unlink()
    claims.requeue(GenerationJob.objects.all())
    run_generation_job()
    assert sampled == [5, 6, 7] * 2  # in its batch, so that it has the same pixels
    assert state(image_set) == (STATES.DONE, "")
    assert [name for name in files_below(media_root) if name.endswith("/6.png")]
    assert len(files_below(media_root)) == len(before[1])


def test_what_a_worker_left_between_an_image_and_its_renditions(image_set: ImageSet, media_root: Path) -> None:
    run_generation_job()
    before = everything(media_root)
    grid, zoom = (media_root / f"renditions/{image_set.uid}/7-{name}.webp" for name in ("grid-160", "zoom-1024"))
    grid.with_name(f"{grid.name}.00ff.part").touch()
    zoom.unlink()
    claims.requeue(GenerationJob.objects.all())
    run_generation_job()
    assert everything(media_root) == before


def test_run_for_a_chunk_whose_images_exist(image_set: ImageSet, sampled: list[int]) -> None:
    for seed in image_set.seeds:
        record_image(image_set=image_set, seed=seed, image=picture(seed), provenance={})
    run_generation_job()
    assert sampled == []
    assert state(image_set) == (STATES.DONE, "")


def test_run_while_somebody_else_runs_it(image_set: ImageSet, sampled: list[int]) -> None:
    claims.claim_next(GenerationJob.objects.all(), worker="there")
    run_generation_job()
    assert sampled == []
    assert only_job(image_set).claimed_by.startswith("there/")


def test_a_worker_that_is_overtaken_leaves_the_images_to_the_other(
    image_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = only_job(image_set)
    take = Recorder.take

    def overtaken(recorder: Recorder, batch: Sequence[Sampled]) -> None:
        GenerationJob.objects.update(claimed_by="there/1")
        take(recorder, batch)

    monkeypatch.setattr(Recorder, "take", overtaken)
    run_generation_job()
    assert missing_seeds(image_set) == [5, 6, 7]
    assert state(image_set)[0] == STATES.RUNNING
    with pytest.raises(LeaseLost):
        record_image(image_set=image_set, seed=5, image=picture(), provenance={}, job=job)


def test_a_refusal_is_the_jobs_error_and_final(tiny_models: Path, sampled: list[int]) -> None:
    model = diffusion_model("nowhere", checkpoint="/no/such/folder")
    image_set = planned(model)
    run_generation_job()
    expected = "nowhere: there is no /no/such/folder on this machine; give a folder that exists, or a hub id."
    assert state(image_set) == (STATES.FAILED, expected)
    run_generation_job()
    assert only_job(image_set).attempt_count == 1
    model.checkpoint = str(tiny_models / "sdxl")
    model.save()
    assert claims.retry(GenerationJob.objects.all()) == 1
    run_generation_job()
    assert is_complete(image_set)


def test_a_fault_that_may_pass_is_tried_again(image_set: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(recording, "prepared", fail)
        run_generation_job()
    assert state(image_set) == (STATES.QUEUED, "Tried again: OSError: disk full")
    run_generation_job()
    assert state(image_set) == (STATES.DONE, "")
    assert is_complete(image_set)


def test_a_sick_card_that_an_embedding_meets_ends_the_process(
    image_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sinks compute on the card too, when the job's last batch has been sampled."""

    class Embedding:
        def prepare(self, pictures: Sequence[Any]) -> Sequence[Any]:
            return pictures

        def store(self, images: Sequence[GeneratedImage], prepared: Sequence[Any]) -> None:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ended: list[str] = []
    monkeypatch.setattr(job_row, "sinks_for", lambda _job: [Embedding()])
    monkeypatch.setattr(work, "end_process", lambda: ended.append(state(image_set)[1]))
    run_generation_job()
    assert ended == [state(image_set)[1]]
    assert "failed: CUDA error: an illegal memory access" in ended[0]
    assert only_job(image_set).failed_on
