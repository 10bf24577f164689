"""Every constraint of generation's tables: what it refuses and what it lets through."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from generation.models import DiffusionModel, GeneratedImage, GenerationJob, ImageSet, Prompt
from tests.generation.planned_sets import diffusion_model, planned

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
STATES = GenerationJob.State


def refused(model: type[models.Model], constraint: str, **fields: Any) -> bool:
    """Return whether the database refuses a row, and check that it is by the expected constraint."""
    message = refusal(model, **fields)
    if not message:
        return False
    # SQLite names the columns of a unique constraint that is broken, not the constraint.
    assert constraint in message or message.startswith("UNIQUE constraint failed"), message
    return True


def refusal(model: type[models.Model], **fields: Any) -> str:
    """Return the database's error for a row; empty if the row is accepted."""
    try:
        with transaction.atomic():
            model._default_manager.create(**fields)
    except IntegrityError as error:
        return str(error)
    return ""


def test_a_models_name_is_its_own() -> None:
    assert not refused(DiffusionModel, "name", name="sdxl")
    assert refused(DiffusionModel, "name", name="sdxl")


@pytest.mark.parametrize(
    ("lora", "scale", "is_refused"), [("", None, False), ("x", 0.6, False), ("x", None, True), ("", 0.6, True)]
)
def test_a_lora_and_its_scale_go_together(lora: str, scale: float | None, is_refused: bool) -> None:
    fields = {"name": "m", "lora": lora, "lora_scale": scale}
    assert refused(DiffusionModel, "diffusion_model_lora_has_a_scale", **fields) is is_refused


def test_a_template_holds_the_prompt() -> None:
    constraint = "diffusion_model_template_holds_the_prompt"
    assert not refused(DiffusionModel, constraint, name="m", prompt_template="{prompt} in the style of Monet")
    assert refused(DiffusionModel, constraint, name="n", prompt_template="in the style of Monet")


def test_the_admin_says_what_is_wrong_with_a_template() -> None:
    with pytest.raises(ValidationError, match=r"prompt_template must contain \{prompt\}"):
        DiffusionModel(name="m", prompt_template="Monet").full_clean()


def test_prompts_are_unique_and_not_blank() -> None:
    assert not refused(Prompt, "text", text="a cube")
    assert refused(Prompt, "text", text="a cube")
    assert refused(Prompt, "prompt_is_not_blank", text="")


def test_a_fingerprint_is_a_sha256_and_unique() -> None:
    image_set = planned()
    fields = {"diffusion_model": image_set.diffusion_model, "prompt": image_set.prompt, "origin": "imported"}
    assert not refused(ImageSet, "", **fields, fingerprint="b" * 64)
    assert refused(ImageSet, "fingerprint", **fields, fingerprint="b" * 64)
    assert refused(ImageSet, "image_set_fingerprint_is_sha256", **fields, fingerprint="b" * 63)


def test_uids_are_unique() -> None:
    image_set = planned()
    fields = {"diffusion_model": image_set.diffusion_model, "prompt": image_set.prompt, "origin": "imported"}
    assert refused(ImageSet, "uid", **fields, fingerprint="c" * 64, uid=image_set.uid)


@pytest.mark.parametrize("state", list(STATES))
def test_a_job_has_a_lease_exactly_while_it_runs(state: GenerationJob.State) -> None:
    image_set = planned()
    fields = {"image_set": image_set, "seeds": [9], "state": state, "error": "because"}
    constraint = "generationjob_lease_only_while_running"
    is_running = state == STATES.RUNNING
    assert refused(GenerationJob, constraint, chunk=7, lease_expires_at=None, **fields) is is_running
    assert refused(GenerationJob, constraint, chunk=8, lease_expires_at=timezone.now(), **fields) is not is_running


def test_a_failed_job_says_why() -> None:
    fields = {"image_set": planned(), "seeds": [9], "state": STATES.FAILED}
    assert refused(GenerationJob, "generationjob_failed_says_why", chunk=7, error="", **fields)
    assert not refused(GenerationJob, "generationjob_failed_says_why", chunk=7, error="no such folder", **fields)


def test_one_job_for_a_chunk() -> None:
    fields = {"image_set": planned(), "seeds": [9]}
    assert refused(GenerationJob, "generation_job_one_per_chunk", chunk=0, **fields)
    assert not refused(GenerationJob, "generation_job_one_per_chunk", chunk=1, **fields)


def test_one_image_for_a_set_and_seed_and_its_hash_is_a_sha256() -> None:
    fields = {"image_set": planned(), "path": "p", "width": 1, "height": 1, "byte_count": 1}
    assert not refused(GeneratedImage, "", seed=1, sha256="a" * 64, **fields)
    assert refused(GeneratedImage, "one_image_per_set_and_seed", seed=1, sha256="b" * 64, **fields)
    assert refused(GeneratedImage, "generated_image_hash_is_sha256", seed=2, sha256="b" * 63, **fields)


def test_jobs_come_model_by_model() -> None:
    first, second = diffusion_model("first"), diffusion_model("second")
    for prompt in ("one", "two"):
        for model in (first, second):
            planned(model, prompt=prompt)
    assert [job.image_set.diffusion_model for job in GenerationJob.objects.all()] == [first, first, second, second]
