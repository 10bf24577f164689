"""Image sets: the same plan is one set, the same seed one image, and nothing is lost on the way."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generation.models import GeneratedImage, GenerationJob, ImageSet
from generation.pictures.files import media_path, open_image
from generation.plans import image_sets
from generation.plans.image_sets import (
    CHUNK_SIZE,
    find_imported_sets,
    is_complete,
    missing_seeds,
    plan_external_sets,
    plan_image_sets,
    plan_imported_set,
    without_seed,
)
from generation.plans.parameters import SamplingParameters
from generation.recorded_images.records import image_path, record_image
from jobs import claims
from jobs.leases import LeaseLost
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL, diffusion_model, files_below, only_job, picture, planned

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_the_same_plan_is_the_same_set_with_the_same_jobs() -> None:
    first, again = planned(), planned()
    assert first == again
    assert [job.seeds for job in first.jobs.all()] == [[1, 2, 3]]
    assert first.rendered_prompt == "a red cube"
    assert SamplingParameters(**first.parameters) == SMALL


def test_jobs_take_a_chunk_of_seeds_each() -> None:
    seeds = list(range(100, 100 + 2 * CHUNK_SIZE + 1))
    image_set = planned(seeds=seeds)
    chunks = [job.seeds for job in image_set.jobs.order_by("chunk")]
    assert [len(chunk) for chunk in chunks] == [CHUNK_SIZE, CHUNK_SIZE, 1]
    assert [seed for chunk in chunks for seed in chunk] == seeds


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": ["a blue cube"]},
        {"seeds": [1, 2]},
        {"seeds": [3, 2, 1]},
        {"parameters": SamplingParameters(width=64, height=64, num_inference_steps=3)},
    ],
)
def test_another_plan_is_another_set(change: dict[str, Any]) -> None:
    plan: dict[str, Any] = {"prompts": ["a red cube"], "seeds": [1, 2, 3], "parameters": SMALL} | change
    assert plan_image_sets(diffusion_model=diffusion_model(), **plan) != [planned()]


@pytest.mark.parametrize("field", ["checkpoint", "revision", "lora_revision", "dtype", "prompt_template"])
def test_a_model_that_was_changed_makes_new_sets(field: str) -> None:
    before = planned()
    changed = diffusion_model()
    setattr(changed, field, "{prompt}!" if field == "prompt_template" else "other")
    assert planned(changed) != before


def test_the_wording_follows_the_models_template() -> None:
    model = diffusion_model("monet", prompt_template="{prompt} in the style of TOK")
    assert planned(model).rendered_prompt == "a red cube in the style of TOK"


@pytest.mark.parametrize(
    ("seeds", "sentence"),
    [
        ([], "at least one seed"),
        ([1, 2, 1], "Seed 1 is given twice"),
        ([-1], "Seed -1 is"),
        ([2**63], "out of range"),
        ([2**32 + 7], "would give the image of seed 7"),
    ],
)
def test_seeds_that_cannot_be(seeds: list[int], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        planned(seeds=seeds)


def test_a_blank_prompt_is_refused() -> None:
    with pytest.raises(Refused, match="is blank"):
        planned(prompt="  ")


def test_the_largest_seed_is_kept_exactly() -> None:
    image_set = plan_imported_set(diffusion_model=diffusion_model(), prompt="a cube", seeds=[2**63 - 1])
    record_image(image_set=image_set, seed=2**63 - 1, image=picture(), provenance={})
    assert is_complete(ImageSet.objects.get())


def test_larger_seeds_that_an_earlier_version_planned_are_followed() -> None:
    image_set = planned(seeds=[1, 2])
    ImageSet.objects.filter(pk=image_set.pk).update(seeds=[1, 2**40])
    other = planned(seeds=[1, 2**40], prompt="a prompt that was still to be planned")
    assert other.seeds == [1, 2**40]


def test_external_sets_are_complete_and_apart_by_lot() -> None:
    model = diffusion_model()
    one, other = (plan_external_sets(diffusion_model=model, prompts=["a cube"], lot=lot)[0] for lot in ("one", "other"))
    assert one != other
    assert is_complete(one)
    assert plan_external_sets(diffusion_model=model, prompts=["a cube"], lot="one")[0] == one


def test_imported_sets_are_found_by_prompt_or_wording() -> None:
    model = diffusion_model("monet", prompt_template="{prompt} in the style of TOK")
    assert find_imported_sets(diffusion_model=model, prompts=["a pond"])[0] is None
    by_wording = plan_imported_set(diffusion_model=model, prompt="a pond in the style of TOK", seeds=[1])
    assert find_imported_sets(diffusion_model=model, prompts=["a pond"])[0] == by_wording
    by_prompt = plan_imported_set(diffusion_model=model, prompt="a pond", seeds=[1])
    assert find_imported_sets(diffusion_model=model, prompts=["a pond"])[0] == by_prompt


def test_recording_stores_pixels_row_and_renditions(media_root: Path) -> None:
    image_set = planned()
    image = picture(7)
    recorded = record_image(image_set=image_set, seed=2, image=image, provenance={"dtype": "float32"})
    assert open_image(recorded).tobytes() == image.tobytes()
    assert (recorded.width, recorded.height) == (40, 30)
    assert recorded.provenance == {"dtype": "float32"}
    assert missing_seeds(image_set) == [1, 3]
    uid = image_set.uid
    assert files_below(media_root) == [
        f"image_sets/{uid}/2.png",
        f"renditions/{uid}/2-grid-160.webp",
        f"renditions/{uid}/2-grid2x-320.webp",
        f"renditions/{uid}/2-zoom-1024.webp",
    ]


def test_recording_again_keeps_the_first_image(media_root: Path) -> None:
    image_set = planned()
    first = record_image(image_set=image_set, seed=1, image=picture(1), provenance={})
    before = files_below(media_root)
    again = record_image(image_set=image_set, seed=1, image=picture(2), provenance={})
    assert again == first
    assert open_image(again).tobytes() == picture(1).tobytes()
    assert files_below(media_root) == before


def test_a_seed_that_is_not_planned_is_refused(media_root: Path) -> None:
    with pytest.raises(Refused, match="Seed 9 is not planned"):
        record_image(image_set=planned(), seed=9, image=picture(), provenance={})
    assert files_below(media_root) == []


def claimed(image_set: ImageSet) -> GenerationJob:
    job = claims.claim_next(GenerationJob.objects.filter(image_set=image_set), worker="here")
    assert job is not None
    return job


def test_a_job_that_lost_its_lease_records_nothing(media_root: Path) -> None:
    image_set = planned()
    lost = claimed(image_set)
    claims.release(lost)
    record_image(image_set=image_set, seed=1, image=picture(1), provenance={}, job=claimed(image_set))
    before = files_below(media_root)
    for seed in (1, 2):
        with pytest.raises(LeaseLost):
            record_image(image_set=image_set, seed=seed, image=picture(2), provenance={}, job=lost)
    assert files_below(media_root) == before
    assert open_image(GeneratedImage.objects.get()).tobytes() == picture(1).tobytes()


STEPS = ["pictures.local_folder._Part.put", "recorded_images.records.png", "pictures.renditions.make"]


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_anywhere_while_recording_is_healed_by_doing_it_again(
    media_root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    image_set = planned(seeds=[1])
    with monkeypatch.context() as patch:
        patch.setattr(f"generation.{step}", fail)
        with pytest.raises(OSError, match="disk full"):
            record_image(image_set=image_set, seed=1, image=picture(1), provenance={})
    assert [name for name in files_below(media_root) if name.endswith(".part")] == []
    record_image(image_set=image_set, seed=1, image=picture(1), provenance={})
    assert GeneratedImage.objects.count() == 1
    assert len(files_below(media_root)) == 4


def test_a_file_without_its_row_is_replaced(media_root: Path) -> None:
    image_set = planned(seeds=[1])
    orphan = media_root / image_path(image_set.uid, 1)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"of a worker that died before its commit")
    recorded = record_image(image_set=image_set, seed=1, image=picture(1), provenance={})
    assert open_image(recorded).tobytes() == picture(1).tobytes()


def test_a_set_without_a_seed_links_what_exists(media_root: Path) -> None:
    image_set = planned(seeds=[1, 2, 3])
    kept = record_image(image_set=image_set, seed=1, image=picture(1), provenance={"dtype": "float32"})
    files = files_below(media_root)
    smaller = without_seed(image_set=image_set, seed=2)
    assert smaller.seeds == [1, 3]
    assert smaller == planned(seeds=[1, 3])
    linked = smaller.images.get()
    assert (linked.seed, linked.path, linked.sha256, linked.provenance) == (1, kept.path, kept.sha256, kept.provenance)
    assert files_below(media_root) == files
    assert missing_seeds(smaller) == [3]
    assert smaller.jobs.count() == 1
    assert without_seed(image_set=image_set, seed=2) == smaller
    assert smaller.images.count() == 1


def test_a_complete_set_without_a_seed_needs_no_job() -> None:
    image_set = planned(seeds=[1, 2])
    record_image(image_set=image_set, seed=1, image=picture(), provenance={})
    smaller = without_seed(image_set=image_set, seed=2)
    assert is_complete(smaller)
    assert not smaller.jobs.exists()


def test_an_imported_set_without_a_seed_stays_apart_from_the_import() -> None:
    model = diffusion_model()
    imported = plan_imported_set(diffusion_model=model, prompt="a cube", seeds=[1, 2])
    smaller = without_seed(image_set=imported, seed=1)
    assert smaller.seeds == [2]
    assert not smaller.jobs.exists()
    assert find_imported_sets(diffusion_model=model, prompts=["a cube"])[0] == imported


@pytest.mark.parametrize(("seed", "sentence"), [(9, "has no seed 9"), (1, "at least one seed")])
def test_a_seed_that_cannot_be_dropped(seed: int, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        without_seed(image_set=planned(seeds=[1]), seed=seed)


def test_planning_again_revives_a_cancelled_job() -> None:
    job = only_job(planned())
    claims.cancel(GenerationJob.objects.all())
    planned()
    assert GenerationJob.objects.get(pk=job.pk).state == GenerationJob.State.QUEUED


def test_a_missing_or_broken_file_is_named() -> None:
    recorded = record_image(image_set=planned(), seed=1, image=picture(), provenance={})
    file = media_path(recorded.path)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(Refused, match=r"sdxl / a red cube, seed 1 \(image_sets/.*/1.png\) is truncated or damaged"):
        open_image(recorded)
    file.unlink()
    with pytest.raises(Refused, match=r"1.png\) is not there"):
        open_image(recorded)


def test_pixels_are_stored_as_they_are_without_metadata() -> None:
    """Files are turned upright where they are read; pixels in memory have no orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    made = picture()
    made.info["exif"] = exif.tobytes()
    recorded = record_image(image_set=planned(), seed=1, image=made, provenance={})
    with Image.open(media_path(recorded.path)) as stored:
        assert (stored.size, stored.mode, stored.info) == (made.size, "RGB", {})
    assert (recorded.width, recorded.height) == made.size


def test_a_key_of_a_later_version_counts_only_if_it_is_set() -> None:
    models = [diffusion_model(f"m{number}", checkpoint="/m") for number in range(3)]
    for model in models:
        model.name = "same"  # the name is a part of the plan, too
    models[1].variant, models[2].lora_file = "fp16", "a.safetensors"
    wording, plan = [ImageSet.Origin.GENERATED.value, "a", "a"], {"parameters": {}, "seeds": [1]}
    prints = [image_sets._fingerprint(model, wording, plan) for model in models]
    assert len(set(prints)) == 3
    # As computed by version 0.2.0.
    identity = ["same", ["/m", "", "", "", None, "float32"], wording, {}, [1]]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    assert prints[0] == hashlib.sha256(text.encode()).hexdigest()
