"""An image made again: identical, or what changed and by how much."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from generation.models import GeneratedImage, ImageSet
from generation.plans.image_sets import plan_imported_set
from generation.recorded_images.records import record_image
from generation.sampling.circumstances import driver_version
from generation.sampling.regeneration import Change, batch_of, compare, difference
from generation.tasks import run_generation_job
from jobs.refusals import Refused
from tests.generation.planned_sets import diffusion_model, picture, planned

DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build\nGCC version: 13\n"


@pytest.fixture
def made(tiny_models: Path, db: None) -> ImageSet:
    """Six images in two batches, of four and of two."""
    image_set = planned(diffusion_model(checkpoint=str(tiny_models / "sdxl")), seeds=[5, 6, 7, 8, 9, 10])
    run_generation_job()
    assert [image.provenance["batch_size"] for image in image_set.images.all()] == [4, 4, 4, 4, 2, 2]
    return image_set


def typed(*arguments: str) -> str:
    out = StringIO()
    call_command("regenerate", *arguments, stdout=out)
    return out.getvalue()


def test_an_image_made_again_is_identical(made: ImageSet, tmp_path: Path) -> None:
    image = made.images.get(seed=6)
    said = typed(str(image.pk), "--output", str(tmp_path / "again.png"))
    assert said.startswith("sdxl / a red cube seed 6: identical.")
    assert "changed" not in said
    with Image.open(tmp_path / "again.png") as again:
        assert again.size == (64, 64)
    assert "identical" in typed(image.path)
    assert "identical" in typed(made.images.get(seed=10).sha256[:12].upper())
    assert GeneratedImage.objects.count() == 6


def test_what_changed_is_named_and_what_was_not_recorded_then(made: ImageSet) -> None:
    image = made.images.get(seed=7)
    image.provenance["versions"]["torch"] = "2.11.0"
    del image.provenance["driver"], image.provenance["configuration_sha256"]
    image.save()
    said = typed(str(image.pk))
    assert re.search(r"changed: versions\.torch: 2\.11\.0 then, 2\.13\.0\S* now", said)
    assert "not recorded then: configuration_sha256, driver\n" in said


def test_by_how_much_it_differs(made: ImageSet) -> None:
    image = made.images.get(seed=7)
    GeneratedImage.objects.filter(pk=image.pk).update(path=made.images.get(seed=8).path)
    said = typed(str(image.pk))
    assert re.search(r"it differs by at most \d+ of 255, by \d+\.\d{3} on average although no recorded", said)


def test_what_an_image_depends_on_is_recorded(made: ImageSet) -> None:
    provenance = made.images.earliest("seed").provenance
    assert provenance["noise"] == "cpu"
    assert provenance["tf32"] == {"matmul": False, "cudnn": True}
    assert provenance["vae_dtype"] == "float32"
    assert "AttnProcessor2_0" in provenance["attention"]
    assert len(provenance["configuration_sha256"]) == 64
    assert provenance["product"].count(".") == 2


@pytest.mark.django_db
def test_images_that_cannot_be_made_again() -> None:
    imported = plan_imported_set(diffusion_model=diffusion_model(), prompt="a cat", seeds=[1])
    image = record_image(image_set=imported, seed=1, image=picture(), provenance={})
    for name, sentence in [("4711", "No image is called 4711"), (str(image.pk), "was imported, so it cannot")]:
        with pytest.raises(CommandError, match=sentence):
            typed(name)


def test_the_batch_of_a_seed() -> None:
    seeds = list(range(100, 145))
    sizes = dict.fromkeys(seeds, 8) | dict.fromkeys(range(116, 120), 4)
    assert batch_of(seeds, 117, sizes) == [116, 117, 118, 119]  # the last of the first twenty
    assert batch_of(seeds, 121, sizes) == list(range(120, 128))
    assert batch_of(seeds, 144, sizes | dict.fromkeys(range(140, 145), 5)) == [140, 141, 142, 143, 144]
    assert batch_of([1, 2, 3], 3, {3: 2}) == [2, 3]  # after a restart, say
    assert batch_of([1, 2], 2, {2: None}) == [2]


def test_differences() -> None:
    black, grey = Image.new("RGB", (2, 1)), Image.new("RGB", (2, 1), (0, 0, 30))
    assert difference(black, grey) == (30, 10.0)
    with pytest.raises(Refused, match="The stored image has 2 x 1 px, the new one 1 x 1"):
        difference(black, Image.new("RGB", (1, 1)))
    before = {"seed": 1, "same": 1, "nested": {"a": 1}, "gone": 1}
    now = {"seed": 2, "same": 1, "nested": {"a": 2, "b": 1}, "new": None}
    assert list(compare(before, now)) == [Change("nested.a", 1, 2), Change("nested.b", None, 1)]


def test_the_driver_s_version(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(DRIVER)
    assert driver_version(tmp_path / "version") == "570.133.20"
    assert driver_version(tmp_path / "absent") == ""
