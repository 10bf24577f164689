"""What queued jobs need is fetched before they run; refusals fail them, passing faults do not."""

import json
import shutil
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from generation.hub import fetches
from generation.hub.fetches import fetch_queued, fetching_in_words, image_needs
from generation.hub.fetching import only_fetcher
from generation.machines.claiming import jobs_to_make
from generation.models import FileFetch, GenerationJob, ImageSet
from generation.plans.image_sets import is_complete
from generation.tasks import run_generation_job
from tests.checkpoint_layouts import add_variant
from tests.fake_hub import COMMIT, FakeHub
from tests.generation.planned_sets import diffusion_model, only_job, planned

pytestmark = pytest.mark.django_db
NAME = "owner/sdxl"
STATES = GenerationJob.State


@pytest.fixture
def image_set(hub: FakeHub, tiny_models: Path, tmp_path: Path) -> ImageSet:
    """A set of a model whose fp16 files are on the hub only."""
    folder = Path(shutil.copytree(tiny_models / "sdxl", tmp_path / "repository"))
    add_variant(folder)
    hub.folders[NAME] = folder
    return planned(diffusion_model(checkpoint=NAME, revision=COMMIT, variant="fp16"), seeds=[5])


def fetch_all() -> bool:
    return fetch_queued(image_needs(), pause=lambda _seconds: None)


def words() -> str:
    return fetching_in_words([(NAME, COMMIT)])


def test_a_job_is_claimed_once_its_files_are_here(hub: FakeHub, image_set: ImageSet) -> None:
    assert not jobs_to_make().exists()
    assert fetch_all() is False
    assert jobs_to_make().get() == only_job(image_set)
    run_generation_job()
    assert only_job(image_set).state == STATES.DONE
    assert is_complete(image_set)
    facts = image_set.images.get().provenance
    assert (facts["checkpoint"], facts["revision"], facts["variant"]) == (NAME, COMMIT, "fp16")
    row = FileFetch.objects.get()
    assert (row.host, row.repository, row.selection) == (socket.gethostname(), NAME, "fp16")
    assert row.byte_count == row.byte_total
    assert words() == ""
    assert image_needs() == []


@pytest.mark.parametrize(("status", "code"), [(401, "GatedRepo"), (403, "GatedRepo"), (404, "RepoNotFound")])
def test_a_refusal_fails_the_queued_jobs_with_its_sentence(
    hub: FakeHub, image_set: ImageSet, status: int, code: str
) -> None:
    hub.fail("/resolve/", status, headers={"X-Error-Code": code})
    assert fetch_all() is False
    job = only_job(image_set)
    assert (job.state, job.error[:16]) == (STATES.FAILED, "sdxl: owner/sdxl" if status != 404 else "sdxl: there is n")
    assert words() == ""
    GenerationJob.objects.update(state=STATES.QUEUED)  # a person has accepted the licence and retries
    assert fetch_all() is False
    assert jobs_to_make().exists()


def test_a_hub_that_is_away_leaves_the_jobs_queued_and_says_so(hub: FakeHub, image_set: ImageSet) -> None:
    hub.fail("/content/", 503, times=100)
    assert fetch_all() is True
    assert only_job(image_set).state == STATES.QUEUED
    assert words().startswith("Fetching waits: sdxl: owner/sdxl cannot be fetched now: http://127")
    assert not jobs_to_make().exists()
    hub.faults.clear()
    assert fetch_all() is False
    assert words() == ""
    assert jobs_to_make().exists()


def test_a_full_disk_leaves_the_jobs_queued(hub: FakeHub, image_set: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 10**12, 0))
        assert fetch_all() is True
    assert "are still to fetch and only 1 kB are free in" in words()
    assert fetch_all() is False


def test_one_model_that_is_stuck_holds_up_no_other(hub: FakeHub, image_set: ImageSet) -> None:
    other = planned(diffusion_model("plain", checkpoint=NAME, revision=COMMIT), seeds=[5])
    hub.fail(".fp16.", 503, times=100)
    assert fetch_all() is True
    assert jobs_to_make().get() == only_job(other)


def test_another_process_of_the_host_fetches(hub: FakeHub, image_set: ImageSet) -> None:
    with only_fetcher(may_wait=False):
        assert fetch_all() is True
    assert hub.requests == []


def test_a_model_that_cannot_be_used_is_claimed_and_fails(hub: FakeHub, image_set: ImageSet) -> None:
    index = hub.folders[NAME] / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"unet": ["own_code", "UNet"]}))
    fetch_all()
    assert "the component unet of owner/sdxl@0123456789ab is code of its own" in only_job(image_set).error
    planned(diffusion_model("nowhere", checkpoint="/no/such/folder"))
    assert image_needs() == []
    assert jobs_to_make().exists()


def test_progress_in_words() -> None:
    assert words() == ""
    row = {"repository": NAME, "revision": COMMIT, "seen_at": timezone.now()}
    one = FileFetch.objects.create(host="gpu-1", byte_count=12_040_000_000, byte_total=36_080_000_000, **row)
    assert words() == "Fetching 12.0 GB of 36.1 GB."
    FileFetch.objects.create(host="gpu-2", **row)
    assert words() == "Fetching 12.0 GB of 36.1 GB on gpu-1. Fetching on gpu-2: the hub is asked which files there are."
    FileFetch.objects.filter(pk=one.pk).update(byte_count=36_080_000_000)
    assert words() == "Fetching on gpu-2: the hub is asked which files there are."
    FileFetch.objects.update(seen_at=timezone.now() - fetches.SILENT_AFTER - timedelta(seconds=1))
    assert words() == ""


def test_a_host_has_one_row_for_a_revision_and_never_more_bytes_than_all() -> None:
    row = {"host": "a", "repository": NAME, "revision": COMMIT, "seen_at": timezone.now()}
    FileFetch.objects.create(**row)
    with pytest.raises(IntegrityError, match=r"UNIQUE|file_fetch_one_per_host"), transaction.atomic():
        FileFetch.objects.create(**row)
    with pytest.raises(IntegrityError, match="file_fetch_has_at_most_all_bytes"), transaction.atomic():
        FileFetch.objects.create(**row | {"host": "b"}, byte_count=2, byte_total=1)
