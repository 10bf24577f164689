"""What the workers do and how fast images come: on the study's page and in study_status."""

import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Study
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.pipeline_jobs import pauses
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.transitions import launch
from annotation.studies.lifecycle.watching import pace, refusals, workers, workers_for
from generation.machines import workers as worker_processes
from generation.machines.workers import leave_sign, note_work, reason_to_rest, served_queues
from generation.models import Card, CardFailure, GeneratedImage, GenerationJob, ModelTrial, WorkerSign
from jobs import claims
from tests.annotation.studies.test_commands import typed
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_manifest, make_researcher

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def study(worker: FakeWorker) -> Study:
    """A study whose first job was done in the last five minutes, on gpu@here; its second one runs there."""
    study = create_study(manifest=make_manifest(source="generated"))
    launch(study=study)
    worker.do(*worker.messages.pop(0))
    leave_sign(name="gpu@here", has_started=True)
    leave_sign(name="control@here", has_started=True)
    now = timezone.now()
    WorkerSign.objects.update(started_at=now - 20 * MINUTE)
    done = GenerationJob.objects.filter(state="done")
    done.update(claimed_by="gpu@here:12/ab", started_at=now - 5 * MINUTE, finished_at=now - 3 * MINUTE)
    GeneratedImage.objects.update(created_at=now - 4 * MINUTE)
    assert claims.claim_next(GenerationJob.objects.all(), worker="gpu@here:12")
    GenerationJob.objects.filter(state="running").update(started_at=now - MINUTE)
    return study


def test_the_pace_of_a_study_and_when_it_ends(study: Study) -> None:
    its_pace = pace(study, progress(study))
    assert its_pace.images_per_second == pytest.approx(3 / 300, rel=0.05)
    assert its_pace.seconds_left == pytest.approx(15 * 100, rel=0.05)
    assert str(its_pace) == "0.6 images a minute, about 25 min of images left"
    GenerationJob.objects.update(
        started_at=F("started_at") - 60 * MINUTE, finished_at=None, state="queued", lease_expires_at=None
    )
    assert str(pace(study, progress(study))) == ""


def test_what_each_worker_does(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "worker_name", lambda: "gpu@here")
    note_work(model="Alpha", memory_used=6 * 2**30, memory_total=24 * 2**30)
    control, gpu = workers()
    assert (control.name, control.idle_share, control.job) == ("control@here", None, "")
    assert gpu.idle_share == pytest.approx(0.7, abs=0.02)  # three of ten minutes were busy
    assert (gpu.model, gpu.memory) == ("Alpha", "6.0 of 24.0 GiB")
    assert gpu.job.startswith("images, job ")
    assert gpu.last_job_at is not None


def test_jobs_that_overlap_count_once_and_short_ones_count(study: Study) -> None:
    now = timezone.now()
    jobs = list(GenerationJob.objects.order_by("pk"))
    GenerationJob.objects.update(state="done", claimed_by="gpu@here:12/ab", lease_expires_at=None)
    for number, job in enumerate(jobs):  # each begins while the one before is recorded
        began = now - 5 * MINUTE + number * timedelta(seconds=0.3)
        GenerationJob.objects.filter(pk=job.pk).update(started_at=began, finished_at=began + timedelta(seconds=0.4))
    idle = next(one.idle_share for one in workers() if one.queue == "gpu")
    assert idle == pytest.approx(1 - (0.3 * (len(jobs) - 1) + 0.4) / 600)
    assert GenerationJob.objects.filter(pk=jobs[0].pk).update(started_at=now - 20 * MINUTE, finished_at=now)
    assert [one.idle_share for one in workers() if one.queue == "gpu"] == pytest.approx([0.0], abs=0.01)


def test_a_worker_that_tries_a_model_is_not_idle(study: Study) -> None:
    GenerationJob.objects.filter(state="running").update(state="queued", lease_expires_at=None)
    trial = ModelTrial.objects.create(
        diffusion_model=study.diffusion_models[0], prompt="a cube", parameters={}, fingerprint="1"
    )
    assert claims.claim_next(ModelTrial.objects.all(), worker="gpu@here:12")
    ModelTrial.objects.update(started_at=timezone.now() - 2 * MINUTE)
    gpu = workers()[1]
    assert gpu.job == f"trial of a model, job {trial.pk}"
    assert gpu.idle_share == pytest.approx(0.6, abs=0.02)  # two minutes of it, and two of a job


def test_a_study_s_people_read_no_names_of_other_studies_models(
    study: Study, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_processes, "worker_name", lambda: "gpu@here")
    own = str(study.diffusion_models[0])
    client.force_login(make_researcher())
    for model, shown in ((own, own), ("Secret checkpoint", "of another study")):
        note_work(model=model, memory_used=0, memory_total=0)
        assert [one.model for one in workers_for(study)] == ["", shown]
        cache.clear()
        assert "Secret checkpoint" not in client.get(reverse("study", args=[study.slug])).content.decode()


def test_page_and_status_show_them(study: Study, client: Client) -> None:
    client.force_login(make_researcher())
    page = client.get(reverse("study", args=[study.slug])).content.decode()
    assert "0.6 images a minute" in page
    assert "gpu@here" in page
    said = typed("study_status", study.slug)
    assert "0.6 images a minute, about 25 min of images left" in said
    assert "worker gpu@here: CPU, " in said
    document = json.loads(typed("study_status", study.slug, "--format", "json"))
    assert document["images_per_second"] == pytest.approx(0.01, rel=0.05)
    assert [one["name"] for one in document["workers"]] == ["control@here", "gpu@here"]


def test_a_refused_card_is_told_with_the_reason_and_the_way_out(study: Study, client: Client) -> None:
    card = Card.objects.get()
    Card.objects.update(refused_at=timezone.now(), host="host", number="0", name="NVIDIA L4")
    CardFailure.objects.create(card=card, task_name="x", job_id=1, error="CUDA error: uncorrectable ECC error")
    [sentence] = refusals()
    assert sentence.startswith(
        "host:0 (NVIDIA L4) failed on different jobs and takes no more: CUDA error: uncorrectable"
    )
    assert "gpus --readmit host:0` lets it take jobs again." in sentence
    client.force_login(make_researcher())
    assert "uncorrectable ECC error" in client.get(reverse("study", args=[study.slug])).content.decode()
    assert "uncorrectable ECC error" in typed("study_status")
    assert "uncorrectable ECC error" in typed("gpus")
    assert "host:0 (NVIDIA L4) takes jobs again" in typed("gpus", "--readmit", "host:0")
    assert refusals() == []


def test_a_worker_of_another_version_takes_nothing_and_says_so(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served_queues() == {"gpu", "control"}
    monkeypatch.setattr(worker_processes, "version", lambda: "0.1.0")
    assert not worker_processes.may_take(GenerationJob).exists()
    leave_sign(name="gpu@here")
    assert served_queues() == {"control"}
    [sentence] = refusals()
    assert sentence.startswith("gpu@here: This worker is of version 0.1.0 and the control worker of ")
    leave_sign(name="control@newer", has_started=True)  # the newest control worker stands for the installation
    assert reason_to_rest("gpu") == ""


def test_jobs_that_were_set_back_say_why_they_wait(study: Study, client: Client) -> None:
    job = claims.claim_next(GenerationJob.objects.all(), worker="gpu@here:12")
    assert job is not None
    claims.set_back(job, error="host:0 failed: CUDA error", pause=5 * MINUTE)
    sentence = "1 job waits for the next try: host:0 failed: CUDA error"
    assert pauses(study) == [sentence]
    assert f"study: {sentence}" in typed("study_status")
    client.force_login(make_researcher())
    assert sentence in client.get(reverse("study", args=[study.slug])).content.decode()
