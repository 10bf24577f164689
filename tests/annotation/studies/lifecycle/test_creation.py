"""A study is created once from a manifest."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import Comparison, ManifestVersion, Study, StudyEvent
from annotation.studies import comparisons
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.documents import sha256
from annotation.studies.imports.score_import import import_scores
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.periodic import maintain
from annotation.voting.imports.vote_import import import_votes
from annotation.voting.storage import slices
from generation.models import DiffusionModel, ImageSet
from jobs.refusals import Refused
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
    assert study.diffusion_models[0].checkpoint == "/models/alpha"


@pytest.mark.parametrize("source", ["images", "external"])
@pytest.mark.parametrize("state", ["draft", "ready", "open", "paused", "closed"])
def test_the_factory_gives_every_state(source: str, state: str) -> None:
    study = make_study(source=source, state=state)
    assert study.state == ("closed" if source == "external" else state)
    assert study.comparisons.count() == (0 if (source, state) == ("images", "draft") else 3)


@pytest.fixture
def two_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write slices of two rows, however fast the machine is."""
    monkeypatch.setattr(slices, "FIRST_SIZE", 2)
    monkeypatch.setattr(slices, "LEAST_ROWS", 2)
    monkeypatch.setattr(slices, "next_size", lambda *_args, **_options: 2)


class Killed(BaseException):
    """The nearest that a test has to kill -9."""


@pytest.fixture
def half_made(two_a_slice: None, monkeypatch: pytest.MonkeyPatch) -> Study:
    """An external study of seven prompts; its process died after two slices."""
    whole, done = comparisons._create, list[Any]()

    def dying(*args: Any) -> None:
        if len(done) == 2:
            raise Killed
        done.append(whole(*args))

    with monkeypatch.context() as patch:
        patch.setattr(comparisons, "_create", dying)
        with pytest.raises(Killed):
            create_study(manifest=make_manifest(source="external", comparisons=7))
    study = Study.objects.get()
    assert (study.state, study.comparisons.count(), study.events.count()) == (Study.State.GENERATING, 4, 0)
    return study


def is_whole(study: Study) -> bool:
    study.refresh_from_db()
    assert list(study.events.values_list("verb", flat=True)) == ["created"]
    positions = list(study.comparisons.values_list("position", flat=True))
    return study.state == Study.State.CLOSED and positions == list(range(7))


def test_the_tick_completes_an_external_study_whose_process_died(half_made: Study) -> None:
    for _ in range(2):
        maintain(timezone.now())
    assert is_whole(half_made)


def test_the_same_file_again_completes_it_and_another_one_is_refused(half_made: Study) -> None:
    with pytest.raises(Refused, match="exists already"):
        create_study(manifest=make_manifest(source="external", comparisons=8))
    assert create_study(manifest=make_manifest(source="external", comparisons=7)) == half_made
    assert is_whole(half_made)
    with pytest.raises(Refused, match="exists already"):
        create_study(manifest=make_manifest(source="external", comparisons=7))


def test_half_a_study_takes_no_votes_and_no_scores(half_made: Study, tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("")
    rules = current_manifest(half_made).voting_rules()
    with pytest.raises(Refused, match="is still being made"):
        import_votes(study=half_made, path=tmp_path / "file.csv", rules=rules, now=timezone.now())
    with pytest.raises(Refused, match="is still being made"):
        import_scores(study=half_made, path=tmp_path / "file.csv", metric="m")


def test_a_study_that_is_deleted_meanwhile_gets_no_comparisons(half_made: Study) -> None:
    manifest, count = current_manifest(half_made), half_made.comparisons.count()
    Study.objects.update(state="draft")
    with pytest.raises(Refused, match="is being deleted"):
        plan_comparisons(half_made, manifest)
    assert half_made.comparisons.count() == count
    Study.objects.all().delete()
    with pytest.raises(Refused, match="is being deleted"):
        plan_comparisons(half_made, manifest)


@pytest.mark.parametrize("source", ["external", "generated"])
def test_planning_asks_about_as_often_for_forty_prompts_as_for_two(source: str) -> None:
    counts = []
    for number in (2, 40):
        manifest = make_manifest(source=source, comparisons=number, slug=f"study-{number}")
        study = create_study(manifest=make_manifest(source="generated", slug=f"study-{number}"))
        with CaptureQueriesContext(connection) as asked:
            plan_comparisons(study, manifest)
        counts.append(len(asked))
        assert study.comparisons.count() == number
    # SQLite takes 999 values in a statement, so a long INSERT is two or three statements.
    assert counts[1] < counts[0] + 8 < 45
