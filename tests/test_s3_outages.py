"""An object storage that answers 503 under a whole study: now and then, then to everything, then now and then again."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from generation.pictures.renditions import paths
from tests.models import tiny_models
from tests.object_storage import ObjectStorage, object_storage_server
from tests.test_crash import PATIENCE_SECONDS, PLANNED, Machine, machine_with_study

__all__ = ["tiny_models"]
pytestmark = pytest.mark.slow
AWAY = "The storage of the images does not answer at the moment"


@pytest.fixture
def storage() -> Iterator[ObjectStorage]:
    with object_storage_server() as server:
        client = server.client()
        client.create_bucket(Bucket="images")
        client.close()
        yield server


@pytest.fixture
def machine(tmp_path: Path, storage: ObjectStorage, tiny_models: Path) -> Iterator[Machine]:
    variables = storage.variables("images") | {"IMAGE_STORAGE_TRIES": "3"}
    with machine_with_study(tmp_path, variables, tiny_models) as machine:
        yield machine


def waiting_jobs(machine: Machine) -> list[str]:
    """Return why jobs wait."""
    rows = machine.query("SELECT error FROM generation_generationjob WHERE state = 'queued' AND not_before IS NOT NULL")
    return [str(error) for (error,) in rows]


def test_a_study_during_outages(machine: Machine, storage: ObjectStorage) -> None:
    storage.share_failing = 0.2
    machine.start_worker()
    machine.start("manage.py", "run_study", "crash")
    machine.await_images(8)

    storage.failures = -1
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not waiting_jobs(machine):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert all(AWAY in error for error in waiting_jobs(machine))
    assert machine.query("SELECT count(*) FROM generation_generationjob WHERE state = 'failed'") == [(0,)]
    storage.failures = 0
    machine.manage("run_study", "crash")

    storage.share_failing = 0.0
    rows = machine.query("SELECT image_set_id, seed, path, sha256 FROM generation_generatedimage")
    assert len({(image_set, seed) for image_set, seed, _, _ in rows}) == len(rows) == PLANNED
    client = storage.client()
    listed = client.list_objects_v2(Bucket="images", Prefix="folder/")["Contents"]
    wanted = {path for _, _, image, _ in rows for path in (image, *paths(image).values())}
    assert {str(one["Key"]).removeprefix("folder/") for one in listed} == wanted  # no orphan, none missing
    for _, _, path, sha256 in rows:
        body = client.get_object(Bucket="images", Key=f"folder/{path}")["Body"].read()
        assert hashlib.sha256(body).hexdigest() == sha256
    client.close()
    assert machine.query("SELECT count(*) FROM scoring_setscore") == [(6,)]
    assert machine.query("SELECT state FROM annotation_study") == [("ready",)]
    machine.manage("verify_images", "--older-than", "0")
    assert not list(machine.var.glob("media/**/*.*"))
