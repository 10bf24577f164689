"""A study is made from a manifest, once."""

import pytest

from annotation.models import Comparison, ManifestVersion, Study, StudyEvent
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle import create_study
from annotation.studies.manifest import sha256
from generation.models import DiffusionModel, ImageSet
from generation.refusals import Refused
from tests.factories import make_manifest, make_study

pytestmark = pytest.mark.django_db


def test_a_study_is_a_draft_with_version_one_of_its_manifest() -> None:
    manifest = make_manifest(source="generated")
    study = create_study(manifest=manifest)
    assert study.state == Study.State.DRAFT
    version = ManifestVersion.objects.get(study=study)
    assert (version.number, version.sha256, study.manifest_sha256) == (1, sha256(manifest), sha256(manifest))
    assert current_manifest(study) == manifest
    assert StudyEvent.objects.get(study=study).verb == "created"


def test_an_external_study_is_closed_and_has_its_comparisons() -> None:
    study = create_study(manifest=make_manifest(source="external", comparisons=4))
    assert study.state == Study.State.CLOSED
    assert study.closed_at is not None
    assert Comparison.objects.filter(study=study).count() == 4
    assert set(ImageSet.objects.values_list("origin", "lot")) == {("external", "study")}


def test_the_models_carry_what_the_manifest_says() -> None:
    document = {
        "name": "Monet",
        "checkpoint": "/m",
        "lora": "/l",
        "lora_scale": 0.6,
        "prompt_template": "{prompt}, TOK",
    }
    create_study(manifest=make_manifest(source="generated", model_b=document))
    model = DiffusionModel.objects.get(name="Monet")
    assert (model.checkpoint, model.lora, model.lora_scale, model.prompt_template) == ("/m", "/l", 0.6, "{prompt}, TOK")


def test_a_slug_is_taken_once() -> None:
    create_study(manifest=make_manifest())
    with pytest.raises(Refused, match=r"^slug: a study called study exists already"):
        create_study(manifest=make_manifest())
    assert Study.objects.count() == 1


def test_a_model_of_that_name_with_other_settings_is_refused_and_nothing_is_made() -> None:
    create_study(manifest=make_manifest(source="generated"))
    other = {"name": "Beta", "checkpoint": "/models/other"}
    with pytest.raises(Refused, match=r"called Beta exists already with checkpoint = '/models/beta'"):
        create_study(manifest=make_manifest(source="generated", slug="second", model_b=other))
    assert Study.objects.count() == 1


def test_imported_images_name_a_model_without_repeating_its_settings() -> None:
    create_study(manifest=make_manifest(source="generated"))
    study = create_study(manifest=make_manifest(source="images", slug="second"))
    assert study.model_a.checkpoint == "/models/alpha"


@pytest.mark.parametrize("source", ["images", "external"])
@pytest.mark.parametrize("state", ["draft", "ready", "open", "paused", "closed"])
def test_the_factory_gives_every_state(source: str, state: str) -> None:
    study = make_study(source=source, state=state)
    assert study.state == ("closed" if source == "external" else state)
    assert study.comparisons.count() == (0 if (source, state) == ("images", "draft") else 3)
