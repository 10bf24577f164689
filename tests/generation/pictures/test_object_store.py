"""Images in an S3 server: exactly the planned objects, whatever fails, and pages that wait for nobody."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from annotation.models import Vote
from annotation.web.annotator.images import addresses
from config.outages import IMAGES, outage
from generation.imports.image_import import import_layout
from generation.imports.layouts import read_layout
from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.pictures import files, object_store, renditions
from generation.pictures.image_storage import StorageAway
from generation.plans.image_sets import is_complete
from generation.plans.orders import Order
from generation.recorded_images.lost_images import lost_seeds
from generation.recorded_images.records import image_path, record_image
from generation.recorded_images.verification import VerificationOptions, verify
from generation.sampling import sampling
from generation.sampling.sampling import Sampled
from generation.tasks import run_generation_job
from jobs import claims
from jobs.leases import LeaseLost
from jobs.refusals import Refused
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.generation.planned_sets import files_below, only_job, picture, planned
from tests.generation.recorded_images.test_verification import NOW
from tests.object_storage import ObjectStorage

pytestmark = pytest.mark.django_db
STATES = GenerationJob.State


@pytest.fixture(autouse=True)
def in_s3(s3: ObjectStorage) -> None:
    """All images lie in the object storage."""


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sampler draw random pixels."""

    def sample_batches(order: Order, batches: list[list[int]], **_arguments: Any) -> Iterator[list[Sampled]]:
        for batch in batches:
            yield [
                Sampled(seed, np.asarray(picture(seed), np.float32) / np.float32(255), {"batch": batch})
                for seed in batch
            ]

    monkeypatch.setattr(sampling, "sample_batches", sample_batches)


def planned_keys(image_set: ImageSet) -> list[str]:
    images = list(image_set.images.values_list("path", flat=True))
    return sorted([*images, *(path for image in images for path in renditions.paths(image).values())])


def test_an_image_is_stored_with_its_renditions_and_nothing_on_this_machine(
    s3: ObjectStorage, media_root: Path
) -> None:
    image = record_image(image_set=planned(seeds=[1]), seed=1, image=picture(1), provenance={})
    assert image.path == f"image_sets/{image.image_set.uid}/1-{image.sha256[:16]}.png"
    assert s3.stored_keys() == planned_keys(image.image_set)
    assert files.sha256(files.read(image.path)) == image.sha256
    assert files.open_image(image).tobytes() == picture(1).tobytes()
    assert files_below(media_root) == []
    assert record_image(image_set=image.image_set, seed=1, image=picture(2), provenance={}) == image
    assert lost_seeds(image.image_set, [1]) == []


def test_one_failure_is_tried_again(s3: ObjectStorage) -> None:
    s3.failures = 1
    record_image(image_set=planned(seeds=[1]), seed=1, image=picture(1), provenance={})
    assert len(s3.stored_keys()) == 4


def test_a_job_waits_for_a_storage_that_is_away(s3: ObjectStorage, fake_model: None) -> None:
    image_set = planned(seeds=[1, 2, 3])
    record_image(image_set=image_set, seed=2, image=picture(2), provenance={})
    s3.failures = -1
    for _attempt in range(5):  # more than the attempts after which a job fails
        GenerationJob.objects.update(not_before=None)
        run_generation_job()
    job = only_job(image_set)
    assert (job.state, job.attempt_count, job.not_before is not None) == (STATES.QUEUED, 0, True)
    assert job.error.startswith("The storage of the images does not answer at the moment (503, image_sets/")
    s3.failures = 0
    GenerationJob.objects.update(not_before=None)
    run_generation_job()
    assert only_job(image_set).state == STATES.DONE
    assert is_complete(image_set)
    assert s3.stored_keys() == planned_keys(image_set)


def test_a_job_fails_if_waiting_does_not_help(settings: Settings, s3: ObjectStorage, fake_model: None) -> None:
    s3.client().delete_bucket(Bucket=s3.bucket)
    image_set = planned(seeds=[1])
    for _attempt in range(4):
        GenerationJob.objects.update(not_before=None)
        run_generation_job()
    job = only_job(image_set)
    assert job.state == STATES.FAILED
    assert "refuses a request; check its bucket and its keys (NoSuchBucket" in job.error


def test_content_that_arrives_altered_is_refused_and_removed(s3: ObjectStorage) -> None:
    image_set = planned(seeds=[1])
    s3.alters = True
    with pytest.raises(StorageAway, match="did not keep"):
        record_image(image_set=image_set, seed=1, image=picture(1), provenance={})
    assert not image_set.images.exists()
    assert s3.stored_keys() == []


def test_a_worker_that_lost_its_lease_changes_no_object_of_another(s3: ObjectStorage) -> None:
    image_set = planned(seeds=[1])
    lost = claims.claim_next(GenerationJob.objects.all(), worker="here")
    assert lost is not None
    claims.release(lost)
    for pixels in (picture(1), picture(2)):  # the same content, and another
        if not image_set.images.exists():
            record_image(image_set=image_set, seed=1, image=picture(1), provenance={})
        with pytest.raises(LeaseLost):
            record_image(image_set=image_set, seed=1, image=pixels, provenance={}, job=lost)
    assert files.open_image(image_set.images.get()).tobytes() == picture(1).tobytes()
    assert len(s3.stored_keys()) == 5  # one without a row
    assert verify(VerificationOptions(deletes=True, youngest=NOW)).deleted_count == 1
    assert s3.stored_keys() == planned_keys(image_set)


def test_what_a_killed_worker_stored_is_removed_by_the_next(s3: ObjectStorage, fake_model: None) -> None:
    image_set = planned(seeds=[1, 2])
    with files.stage(image_path(image_set.uid, 1), b"of a batch of another size"):
        pass
    assert len(s3.stored_keys()) == 1
    assert verify(VerificationOptions()).orphans == []  # too young: its row may follow
    run_generation_job()
    assert s3.stored_keys() == planned_keys(image_set)


def test_an_object_that_has_changed_is_damaged_and_not_away(s3: ObjectStorage) -> None:
    image_set = planned(seeds=[1, 2])
    first, second = (record_image(image_set=image_set, seed=s, image=picture(s), provenance={}) for s in (1, 2))
    small = renditions.paths(second.path)["grid"]
    expected = files.read(small)
    s3.rotten = {first.path, small}
    with pytest.raises(Refused, match=r"cannot be read \(its checksum is wrong\)"):
        files.open_image(first)
    found = verify(VerificationOptions(youngest=NOW))
    assert (found.lost, found.damaged, found.made_again) == ([], [first.path], [small])
    s3.rotten.add(small)
    assert renditions.read(second, "grid") == expected  # made again for the page
    assert s3.rotten == {first.path}


def test_verification_finds_and_mends(s3: ObjectStorage) -> None:
    image_set = planned(seeds=[1, 2, 3])
    images = [record_image(image_set=image_set, seed=s, image=picture(s), provenance={}) for s in (1, 2, 3)]
    GenerationJob.objects.update(state=STATES.DONE)
    files.delete(images[0].path)
    files.write(images[1].path, b"damaged")
    files.delete(renditions.paths(images[2].path)["grid"])
    found = verify(VerificationOptions(deletes=True, regenerates=True, youngest=NOW))
    assert (found.lost, found.damaged) == ([images[0].path], [images[1].path])
    assert found.made_again == [renditions.paths(images[2].path)["grid"]]
    assert (found.orphans, found.requeued_count, found.without_a_job) == ([], 1, [])
    assert only_job(image_set).state == STATES.QUEUED
    s3.failures = -1
    with pytest.raises(StorageAway):
        verify()


def test_a_clock_of_this_host_that_is_ahead_makes_no_orphans(
    s3: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = f"image_sets/{planned().uid}/3.png"
    files.write(young, b"")
    with monkeypatch.context() as patch:
        patch.setattr("generation.recorded_images.verification.files.now", lambda: time.time() + 2 * 3600)
        assert verify().orphans == [young]  # by such a clock it would be one
    assert abs(files.now() - time.time()) < 600
    assert verify(VerificationOptions(deletes=True)).orphans == []
    assert files.exists(young)


def test_an_import_goes_to_the_storage(s3: ObjectStorage, tmp_path: Path, media_root: Path) -> None:
    folder = tmp_path / "images" / "model" / "a cube"
    folder.mkdir(parents=True)
    for seed in (1, 2):
        picture(seed).save(folder / f"{seed}.png")
    report = import_layout(read_layout(tmp_path / "images", model=None))
    assert (report.imported_image_count, report.faults) == (2, [])
    assert s3.stored_keys() == planned_keys(ImageSet.objects.get())
    assert files_below(media_root) == []
    again = import_layout(read_layout(tmp_path / "images", model=None))
    assert (again.unchanged_set_count, again.faults) == (1, [])
    verified = verify(VerificationOptions(youngest=NOW))
    assert (verified.image_count, verified.orphans, verified.lost) == (2, [], [])


@pytest.fixture
def drawn() -> DrawnStudy:
    return draw_study(prompt_count=1, images_per_set=2, side=64)


def image_address(client: Client, drawn: DrawnStudy) -> str:
    """An image's address, for a browser in which its annotator's page is open."""
    annotator = drawn.invite("a")
    client.get(f"/a/{annotator.token}/")
    image = GeneratedImage.objects.order_by("pk")[0]
    return addresses(annotator_id=annotator.pk, image_ids=[image.pk])[0] + ".grid"


def test_a_page_gets_an_image_from_the_copy_on_this_machine(
    client: Client, s3: ObjectStorage, drawn: DrawnStudy
) -> None:
    address = image_address(client, drawn)
    s3.requests.clear()
    first = client.get(address)
    assert (first.status_code, len(s3.requests)) == (200, 1)
    s3.failures = -1
    second = client.get(address)
    assert (second.status_code, second.content) == (200, first.content)
    assert dict(second.headers) == dict(first.headers)
    assert len(s3.requests) == 1


@pytest.mark.parametrize("fault", ["failing", "slow"])
def test_a_page_gets_503_from_a_storage_that_is_away(
    client: Client, s3: ObjectStorage, drawn: DrawnStudy, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    address = image_address(client, drawn)
    if fault == "failing":
        s3.failures = -1
    else:
        monkeypatch.setitem(object_store.BRISK, "read_timeout", 0.1)
        s3.wait_seconds = 0.5
    answer = client.get(address)
    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
    assert b"The storage of the images does not answer at the moment." in answer.content
    assert b"image_sets" not in answer.content
    s3.failures, s3.wait_seconds = 0, 0.0
    s3.requests.clear()
    assert client.get(address).status_code == 503  # for two seconds nobody waits for it
    assert s3.requests == []
    monkeypatch.setattr(files.storage(), "_rests_until", 0.0)
    assert client.get(address).status_code == 200


def test_a_vote_needs_no_storage(client: Client, s3: ObjectStorage, drawn: DrawnStudy) -> None:
    api = f"/api/v1/annotators/{drawn.invite('a').token}/"
    s3.failures = -1
    comparison = client.post(f"{api}next", {}, "application/json").json()
    ballot = {"vote_id": str(uuid.uuid4()), "assignment": comparison["assignment"], "choice": "left"}
    assert client.post(f"{api}votes", ballot, "application/json").json()["state"] == "accepted"
    assert Vote.objects.filter(state="standing").count() == 1


def test_an_outage_of_the_storage_is_named() -> None:
    failure = outage(StorageAway("The storage of the images does not answer at the moment (SlowDown, x)."))
    assert failure is not None
    assert failure.sentence is IMAGES


def test_a_rendition_that_is_missing_is_made_for_the_page(client: Client, s3: ObjectStorage, drawn: DrawnStudy) -> None:
    address = image_address(client, drawn)
    image = GeneratedImage.objects.order_by("pk")[0]
    before = files.read(renditions.paths(image.path)["grid"])
    files.delete(renditions.paths(image.path)["grid"])
    assert client.get(address).content == before
    assert renditions.paths(image.path)["grid"] in s3.stored_keys()
    files.delete(image.path)
    files.delete(renditions.paths(image.path)["zoom"])
    assert client.get(address.replace(".grid", ".zoom")).status_code == 404
