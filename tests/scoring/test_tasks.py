"""A scoring job from its message to its score, with a real encoder; every task is run twice."""

from pathlib import Path

import pytest

from generation.models import GeneratedImage
from scoring.encoder_spec import EncoderSpec
from scoring.models import ImageEmbedding, ScoringJob, SetScore
from scoring.scores import embeddings_of
from scoring.tasks import run_scoring_job
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
