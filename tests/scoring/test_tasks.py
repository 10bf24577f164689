"""A scoring job from its message to its score, with a real encoder; every task is run twice."""

from pathlib import Path

import pytest

from generation.hub.fetches import fetch_queued
from generation.models import GeneratedImage
from scoring.embeddings import embeddings_of
from scoring.encoder_spec import EncoderSpec
from scoring.encoders.checkpoints import encoder_needs
from scoring.models import ImageEmbedding, ScoringJob, SetScore
from scoring.tasks import jobs_to_score, run_scoring_job
from tests.fake_hub import COMMIT, FakeHub
from tests.scoring.embedded_sets import make_set, planned_job, score_by_double_loop

pytestmark = pytest.mark.django_db


@pytest.fixture
def spec(tiny_encoders: Path) -> EncoderSpec:
    return EncoderSpec(checkpoint=str(tiny_encoders / "clip"))


def test_embeds_and_scores_and_may_run_twice(spec: EncoderSpec) -> None:
    image_set = make_set()
    job = planned_job(image_set, spec)

    run_scoring_job()
    first = SetScore.objects.get()
    run_scoring_job()

    job.refresh_from_db()
    assert (job.state, job.error, job.attempt_count) == ("done", "", 1)
    assert SetScore.objects.get().created_at == first.created_at
    assert first.value == pytest.approx(score_by_double_loop(embeddings_of(image_set, spec.identity)), abs=1e-9)
    assert ImageEmbedding.objects.count() == 3


def test_a_job_that_was_cut_off_half_way_ends_as_if_it_had_not_been(spec: EncoderSpec) -> None:
    image_set, whole_set = make_set(), make_set(prompt="a cat again")
    job, _ = (planned_job(each, spec) for each in (image_set, whole_set))
    run_scoring_job()
    run_scoring_job()
    SetScore.objects.filter(image_set=image_set).delete()
    ImageEmbedding.objects.get(image=GeneratedImage.objects.get(image_set=image_set, seed=9)).delete()
    ScoringJob.objects.filter(pk=job.pk).update(state="queued")

    run_scoring_job()

    score, undisturbed = (SetScore.objects.get(image_set=each) for each in (image_set, whole_set))
    assert score.value == pytest.approx(undisturbed.value, abs=1e-4)  # the image was embedded in another batch
    assert ImageEmbedding.objects.filter(image__image_set=image_set).count() == 3


def test_what_is_refused_stands_on_the_job(spec: EncoderSpec) -> None:
    job = planned_job(make_set(recorded=(3, 5)), spec)
    run_scoring_job()
    run_scoring_job()
    job.refresh_from_db()
    assert (job.state, job.attempt_count) == ("failed", 1)
    assert job.error == "Alpha / a cat has 2 of 3 images: it is scored when all of them are there."


def test_a_missing_checkpoint_stands_on_the_job(tmp_path: Path) -> None:
    job = planned_job(make_set(), EncoderSpec(checkpoint=str(tmp_path / "nowhere")))
    run_scoring_job()
    job.refresh_from_db()
    assert job.state == "failed"
    assert f"there is no {tmp_path / 'nowhere'}" in job.error


def test_a_job_that_is_gone_is_passed_over(db: None) -> None:
    run_scoring_job(4711)
    assert not SetScore.objects.exists()


@pytest.mark.both_databases
def test_a_job_waits_until_its_encoder_is_fetched(hub: FakeHub, spec: EncoderSpec, tiny_encoders: Path) -> None:
    hub.folders["owner/clip"] = tiny_encoders / "clip"
    away = EncoderSpec(checkpoint="owner/clip", revision=COMMIT)
    waiting, ready = planned_job(make_set(), away), planned_job(make_set(prompt="a cat again"), spec)
    assert jobs_to_score().get() == ready
    assert fetch_queued(encoder_needs()) is False
    assert set(jobs_to_score()) == {waiting, ready}
    assert hub.fetched_files() == {"config.json", "preprocessor_config.json", "model.safetensors"}
    asked = len(hub.requests)
    run_scoring_job()
    run_scoring_job()
    assert SetScore.objects.count() == 2
    assert len(hub.requests) == asked
