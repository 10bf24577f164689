"""verify_images: each kind of damage is found, named and mended, and nothing else is touched."""

import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from generation.models import DiffusionModel, EndpointAccount, GeneratedImage, GenerationJob, ImageSet
from generation.pictures.files import open_image
from generation.plans.image_sets import plan_imported_set, without_seed
from generation.recorded_images import lost_images
from generation.recorded_images import records as records_module
from generation.recorded_images.lost_images import lost_seeds
from generation.recorded_images.records import record_image
from generation.recorded_images.verification import VerificationOptions, verify
from generation.sampling import recording
from generation.sampling.sampling import Sampled
from jobs import claims
from tests.generation.planned_sets import diffusion_model, files_below, only_job, picture, planned

pytestmark = pytest.mark.django_db
NOW = timedelta(0)
STATES = GenerationJob.State


@pytest.fixture
def image_set() -> ImageSet:
    """A set with all its images, whose job is done."""
    made = planned(seeds=[1, 2])
    for seed in (1, 2):
        record_image(image_set=made, seed=seed, image=picture(seed, (90, 60)), provenance={"batch_size": 2})
    GenerationJob.objects.update(state=STATES.DONE)
    return made


def path(image_set: ImageSet, seed: int) -> str:
    return image_set.images.get(seed=seed).path


def verified(*options: str) -> tuple[str, str]:
    """Return what the command printed, and its last sentence if it failed."""
    output = StringIO()
    try:
        call_command("verify_images", *options, stdout=output)
    except CommandError as error:
        return output.getvalue(), str(error)
    return output.getvalue(), ""


def test_sound_files_stay_as_they_are(image_set: ImageSet, media_root: Path) -> None:
    before = {name: (media_root / name).stat().st_mtime_ns for name in files_below(media_root)}
    without_seed(image_set=image_set, seed=2)  # its image is the same file
    assert verified("--delete", "--regenerate", "--older-than", "0") == ("2 images and 6 renditions verified.\n", "")
    assert {name: (media_root / name).stat().st_mtime_ns for name in files_below(media_root)} == before


def test_an_empty_installation() -> None:
    assert verified() == ("0 images and 0 renditions verified.\n", "")


@pytest.mark.parametrize("damage", ["missing", "cut", "other pixels", "no image", "other size"])
def test_a_rendition_is_made_again(image_set: ImageSet, media_root: Path, damage: str) -> None:
    first, second = (media_root / f"renditions/{image_set.uid}/{seed}-grid-160.webp" for seed in (1, 2))
    sound = first.read_bytes()
    if damage == "missing":
        first.unlink()
    else:
        zoom = first.with_name("1-zoom-1024.webp").read_bytes()
        damaged = {"cut": sound[:-200], "other pixels": second.read_bytes(), "no image": b"", "other size": zoom}
        first.write_bytes(damaged[damage])
    output, failure = verified()
    assert f"1 rendition made again from the image: renditions/{image_set.uid}/1-grid-160.webp" in output
    assert not failure
    assert first.read_bytes() == sound


def test_files_without_a_row_are_deleted_when_they_are_old(image_set: ImageSet, media_root: Path) -> None:
    folder = media_root / "image_sets" / str(image_set.uid)
    orphans = [folder / "3.png", folder / "1.png.00ff.part", media_root / "renditions/none/1-grid-160.webp"]
    before = files_below(media_root)
    for file in orphans:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"of a worker that was killed")
    assert verified("--delete")[0].count("\n") == 1  # younger than an hour: a row may follow
    for file in orphans:
        os.utime(file, (0, 0))
    assert "3 files without a row, left; --delete deletes them" in verified()[0]
    output, failure = verified("--delete")
    assert "3 files without a row, deleted: image_sets/" in output
    assert not failure
    assert files_below(media_root) == before
    assert not (media_root / "renditions/none").exists()


def test_a_file_whose_row_is_committed_meanwhile_is_no_orphan(
    image_set: ImageSet, media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    GeneratedImage.objects.filter(seed=2).update(path=path(image_set, 1))
    late = media_root / "image_sets" / str(image_set.uid) / "2.png"

    def commit() -> None:
        GeneratedImage.objects.filter(seed=2).update(path=f"image_sets/{image_set.uid}/2.png")

    assert verify(VerificationOptions(deletes=True, youngest=NOW, advance=commit)).orphans == []
    assert late.exists()


def test_a_clock_that_is_ahead_makes_no_orphans(
    image_set: ImageSet, media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = media_root / "image_sets" / str(image_set.uid) / "3.png"
    young.write_bytes(b"")  # a worker is about to record it
    monkeypatch.setattr(time, "time", lambda: young.stat().st_mtime + 2 * 3600)
    assert verify(VerificationOptions(deletes=True)).orphans == []
    assert young.exists()


def test_folders_in_the_place_of_files_are_named_and_left(image_set: ImageSet, media_root: Path) -> None:
    places = [media_root / path(image_set, 1), media_root / f"renditions/{image_set.uid}/2-grid-160.webp"]
    for place in places:
        place.unlink()
        (place / "somebody's").mkdir(parents=True)
    output, failure = verified("--regenerate")
    assert (
        f"2 files that cannot be replaced, because something else is in the way: renditions/{image_set.uid}/2" in output
    )
    assert failure == "Move away what is in the way, and run the same command again."
    for place in places:
        shutil.rmtree(place)
    assert "1 job queued again." in verified("--regenerate")[0]


def test_a_file_in_the_place_of_the_folder_of_renditions(image_set: ImageSet, media_root: Path) -> None:
    folder = media_root / "renditions" / str(image_set.uid)
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    output, _ = verified()
    assert "6 files that cannot be replaced" in output


def test_links_that_lead_nowhere_and_names_that_no_row_holds_are_orphans(image_set: ImageSet, media_root: Path) -> None:
    before = files_below(media_root)
    folder = media_root / "image_sets" / os.fsdecode(b"\xff\xfe")
    folder.mkdir()
    (folder / "1.png").write_bytes(b"")
    nowhere, around = (media_root / "image_sets" / str(image_set.uid) / name for name in ("7.png", "8.png"))
    nowhere.symlink_to("nowhere")
    around.symlink_to(around)
    output, failure = verified("--delete", "--older-than", "0")
    assert "3 files without a row, deleted: image_sets/" in output
    assert "\\udcff\\udcfe/1.png" in output
    assert not failure
    assert files_below(media_root) == before


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_lost_image_is_made_again_by_its_job(image_set: ImageSet, media_root: Path, damage: str) -> None:
    file = media_root / path(image_set, 1)
    if damage == "gone":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    output, failure = verified()
    said = {"gone": "whose file is gone", "changed": "whose file is not the one that was recorded"}[damage]
    assert f"1 image {said}: image_sets/{image_set.uid}/1.png" in output
    assert failure.startswith("1 image without its file")
    assert only_job(image_set).state == STATES.DONE
    output, failure = verified("--regenerate")
    assert "1 job queued again." in output
    assert not failure
    assert only_job(image_set).state == STATES.QUEUED
    assert lost_seeds(image_set, [1, 2]) == [1]


def lost_and_claimed(image_set: ImageSet, media_root: Path) -> tuple[GeneratedImage, GenerationJob]:
    """An image whose file is lost, and the claimed job that makes it again."""
    before = image_set.images.get(seed=1)
    (media_root / before.path).unlink()
    claims.requeue(GenerationJob.objects.all())
    job = claims.claim_next(GenerationJob.objects.all(), worker="here")
    assert job is not None
    return before, job


@pytest.mark.parametrize("is_same", [True, False])
def test_an_image_that_is_made_again_tells_whether_it_is_the_same(
    image_set: ImageSet, media_root: Path, is_same: bool
) -> None:
    before, job = lost_and_claimed(image_set, media_root)
    pixels = picture(1 if is_same else 9, (90, 60))
    record_image(image_set=image_set, seed=1, image=pixels, provenance={"batch_size": 1}, job=job)
    after = image_set.images.get(seed=1)
    assert open_image(after).tobytes() == pixels.tobytes()
    assert (after.pk, after.sha256 == before.sha256) == (before.pk, is_same)
    assert after.provenance == ({"batch_size": 2} if is_same else {"batch_size": 1, "replaces_sha256": before.sha256})
    found = verify(VerificationOptions(youngest=NOW))
    assert (found.lost, found.damaged, found.orphans, found.made_again) == ([], [], [], [])


@pytest.mark.parametrize("by", ["one", "batch"])
def test_a_replacement_that_is_not_committed_leaves_the_image_lost(
    image_set: ImageSet, media_root: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    before, job = lost_and_claimed(image_set, media_root)

    def uncommitted(*arguments: Any, **named: Any) -> None:
        lost_images.record_replacement(*arguments, **named)
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(records_module if by == "one" else recording, "record_replacement", uncommitted)
    other = picture(9, (90, 60))
    with recording.Recorder(job, [1]) as recorder:
        recorder.take([Sampled(1, np.asarray(other, np.float32) / np.float32(255), {})])
        record: Callable[[], object] = recorder.finish
        if by == "one":
            record = partial(record_image, image_set=image_set, seed=1, image=other, provenance={}, job=job)
        with pytest.raises(OperationalError):
            record()
    assert image_set.images.get(seed=1).sha256 == before.sha256
    assert lost_seeds(image_set, [1]) == [1]


def test_an_imported_image_cannot_be_made_again(media_root: Path) -> None:
    imported = plan_imported_set(diffusion_model=diffusion_model(), prompt="a cube", seeds=[1])
    image = record_image(image_set=imported, seed=1, image=picture(), provenance={})
    (media_root / image.path).unlink()
    assert "1 image cannot be made again, because no job of this installation made them" in verified("--regenerate")[1]


def test_an_endpoint_is_asked_again_only_if_that_is_said(image_set: ImageSet, media_root: Path) -> None:
    DiffusionModel.objects.update(endpoint="painter", checkpoint="")
    EndpointAccount.objects.create(
        name="painter", adapter="semblance", is_seeded=False, currency="USD", price_micros=40_000
    )
    gone, damaged = (media_root / path(image_set, seed) for seed in (1, 2))
    gone.unlink()
    damaged.write_bytes(b"damaged")
    output, failure = verified("--regenerate")
    assert "queued again" not in output
    assert failure == (
        "2 images of the endpoint painter stay without their file: copy them from a backup, or give --ask-endpoints "
        "too, which asks the endpoint for new images, for about 0.08 USD. They may differ from those that were shown."
    )
    assert only_job(image_set).state == STATES.DONE
    assert damaged.exists()
    output, failure = verified("--regenerate", "--ask-endpoints")
    assert "1 job queued again." in output
    assert not failure
    assert only_job(image_set).state == STATES.QUEUED
    assert not damaged.exists()
