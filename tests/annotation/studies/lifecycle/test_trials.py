"""A study's models are tried on a worker before anything is planned."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from annotation.models import Study
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.transitions import advance, launch
from generation.models import ImageSet, ModelTrial
from generation.tasks import run_model_trial
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_manifest, make_researcher

pytestmark = pytest.mark.django_db
State = Study.State


@pytest.fixture
def study(settings: Settings) -> Study:
    settings.TRY_MODELS = True
    return create_study(manifest=make_manifest(source="generated"))


def status(study: Study) -> str:
    out = StringIO()
    call_command("study_status", study.slug, stdout=out)
    return out.getvalue()


def test_nothing_is_planned_before_both_models_are_tried(study: Study, worker: FakeWorker) -> None:
    launch(study=study)
    assert advance(study) == "a worker makes one image of Alpha and Beta first, to try what the study asks for"
    assert [name for name, _id in worker.messages] == [ModelTrial.task_name] * 2
    assert not ImageSet.objects.exists()
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY
    assert ModelTrial.objects.count() == 2
    text = status(study)
    assert "Alpha was tried on NVIDIA H100 in bfloat16: loaded in 21 s, one image of 768 x 768 px in 1.1 s" in text
    assert "and 9.2 GiB of its memory; at this rate 9 images take 10 s" in text
    assert "Alpha samples at 1024 x 1024 px." in text


def test_a_model_that_cannot_be_used_makes_the_study_a_draft_again(
    study: Study, worker: FakeWorker, client: Client
) -> None:
    worker.broken[ModelTrial.task_name] = "Alpha: options.widht is nothing that StableDiffusionXLPipeline takes."
    launch(study=study)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.DRAFT
    assert not ImageSet.objects.exists()
    assert study.events.get(verb="trial failed").detail == {"reasons": [worker.broken[ModelTrial.task_name]] * 2}
    assert "options.widht is nothing" in status(study)
    client.force_login(make_researcher())
    assert "options.widht is nothing" in client.get(f"/studies/{study.slug}/").content.decode()
    worker.broken.clear()
    launch(study=study)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY


def test_run_study_says_why_it_ends(study: Study, working: FakeWorker) -> None:
    working.broken[ModelTrial.task_name] = "Alpha: there is no /models/alpha on this machine."
    with pytest.raises(CommandError, match=r"there is no /models/alpha(.|\n)*study is a draft again"):
        call_command("run_study", study.slug, stdout=StringIO())


def test_a_second_study_of_the_same_models_is_launched_at_once(study: Study, worker: FakeWorker) -> None:
    launch(study=study)
    worker.work_off()
    second = create_study(manifest=make_manifest(source="generated", slug="second"))
    launch(study=second)
    worker.work_off()
    second.refresh_from_db()
    assert second.state == State.READY
    assert ModelTrial.objects.count() == 2


def test_a_dtype_auto_is_resolved_although_models_are_not_tried(settings: Settings, worker: FakeWorker) -> None:
    models = {f"model_{side}": {"name": side, "checkpoint": f"/models/{side}", "dtype": "auto"} for side in ("a", "b")}
    study = create_study(manifest=make_manifest(source="generated", **models))
    assert not settings.TRY_MODELS
    launch(study=study)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY
    assert {model.dtype_in_use for model in study.diffusion_models} == {"bfloat16"}


def test_a_real_trial_says_that_there_is_no_such_folder(study: Study) -> None:
    launch(study=study)
    advance(study)
    for _trial in range(2):
        run_model_trial()
    advance(study)
    assert study.state == State.DRAFT
    assert "Alpha: there is no /models/alpha on this machine" in status(study)
