"""Scoring a set, twice, half; scores from elsewhere."""

import pytest

from jobs.refusals import Refused
from scoring.embeddings import embed_set
from scoring.encoder_spec import EncoderSpec
from scoring.metric_spec import SCS, MetricSpec
from scoring.models import ImageEmbedding, ScoringJob, SetScore
from scoring.scores import record_imported_scores, score_set
from tests.scoring.embedded_sets import (
    ColourEncoder,
    make_external_set,
    make_set,
    picture,
    planned_job,
    score_by_double_loop,
)

pytestmark = pytest.mark.django_db
SPEC = ColourEncoder.spec
SCORED = MetricSpec(SCS, SPEC)


# --- score_set ----------------------------------------------------------------------------------
def test_scores_a_set_once() -> None:
    image_set, encoder = make_set(), ColourEncoder()
    embed_set(image_set=image_set, encoder=encoder)

    score = score_set(image_set=image_set, spec=SCORED)

    assert score.value == pytest.approx(
        score_by_double_loop(encoder.embed([picture(3), picture(5), picture(9)])), abs=1e-9
    )
    assert (score.image_count, score.source, score.metric) == (3, "computed", "scs/clip:colour")
    assert score_set(image_set=image_set, spec=SCORED).pk == score.pk
    assert SetScore.objects.count() == 1


def test_refuses_a_set_that_is_not_embedded_to_the_last_image() -> None:
    image_set = make_set()
    embed_set(image_set=image_set, encoder=ColourEncoder())
    ImageEmbedding.objects.get(image__seed=9).delete()
    with pytest.raises(Refused, match="2 of 3 images embedded by clip:colour"):
        score_set(image_set=image_set, spec=SCORED)


def test_refuses_to_score_a_set_that_is_not_complete() -> None:
    with pytest.raises(Refused, match="2 of 3 images"):
        score_set(image_set=make_set(recorded=(3, 5)), spec=SCORED)


def test_an_undefined_score_says_why() -> None:
    image_set = make_set(seeds=(7,))
    embed_set(image_set=image_set, encoder=ColourEncoder())
    with pytest.raises(Refused, match="at least two embeddings"):
        score_set(image_set=image_set, spec=SCORED)
    assert not SetScore.objects.exists()


def test_does_not_pass_an_imported_score_off_as_computed() -> None:
    image_set = make_set()
    embed_set(image_set=image_set, encoder=ColourEncoder())
    SetScore.objects.create(image_set=image_set, metric=SPEC.metric, value=50.0, source="imported")  # by version 0.2
    with pytest.raises(Refused, match="imported score"):
        score_set(image_set=image_set, spec=SCORED)


# --- record_imported_scores ---------------------------------------------------------------------
def test_keeps_scores_from_elsewhere_for_sets_without_images() -> None:
    values = {make_external_set().pk: 0.25}
    for _ in range(2):
        assert not record_imported_scores(metric="lpips", values=values, higher_is_more_consistent=True)
        score = SetScore.objects.get()
        assert (score.value, score.image_count, score.source) == (0.25, None, "imported")


def test_names_the_sets_with_another_score_and_stores_none() -> None:
    image_set, other = make_external_set(), make_set()
    record_imported_scores(metric="lpips", values={image_set.pk: 0.25}, higher_is_more_consistent=True)
    assert record_imported_scores(
        metric="lpips", values={image_set.pk: 0.5, other.pk: 0.5}, higher_is_more_consistent=True
    ) == [image_set.pk]
    assert SetScore.objects.get().value == 0.25


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_a_value_that_is_not_finite(value: float) -> None:
    with pytest.raises(Refused, match="finite"):
        record_imported_scores(metric="lpips", values={make_external_set().pk: value}, higher_is_more_consistent=True)


@pytest.mark.parametrize("metric", ["", "  ", "m" * 256])
def test_refuses_a_metric_without_a_usable_name(metric: str) -> None:
    with pytest.raises(Refused, match="1 to 255 characters"):
        record_imported_scores(metric=metric, values={make_external_set().pk: 1.0}, higher_is_more_consistent=True)


@pytest.mark.parametrize("metric", [SPEC.metric, "scs:clip-b32", "SCS", "vendi:order=2/clip:other", "own:mine"])
def test_refuses_scores_under_the_name_of_a_metric_that_is_computed_here(metric: str) -> None:
    with pytest.raises(Refused, match=f"{metric} is the name of a metric that is computed here"):
        record_imported_scores(metric=metric, values={make_external_set().pk: 1.0}, higher_is_more_consistent=True)


@pytest.mark.parametrize("metric", [" lpips", "lpips ", "lpips\nclip", "lpips\x1b[31m", "lpi\u200bps", "\u202elpips"])
def test_refuses_a_metric_that_looks_like_another(metric: str) -> None:
    with pytest.raises(Refused, match="one line, without characters that are not seen and without blanks at its ends"):
        record_imported_scores(metric=metric, values={make_external_set().pk: 1.0}, higher_is_more_consistent=True)


# --- plan_scorings ------------------------------------------------------------------------------
def test_plans_one_job_for_a_set_and_a_metric() -> None:
    image_set = make_set()
    job = planned_job(image_set, SPEC)
    assert (job.state, job.metric) == ("queued", "scs/clip:colour")
    assert job.source == SPEC
    assert planned_job(image_set, SPEC).pk == job.pk
    assert planned_job(image_set, EncoderSpec(checkpoint="/models/other")).pk != job.pk


def test_a_job_takes_up_the_folder_that_the_encoder_moved_to() -> None:
    image_set = make_set()
    moved = EncoderSpec(checkpoint="/elsewhere/colour")
    planned_job(image_set, SPEC)
    planned_job(image_set, moved)
    assert ScoringJob.objects.get().source == moved


def test_an_encoder_whose_name_is_too_long_is_refused() -> None:
    with pytest.raises(Refused, match="1 to 255 characters"):
        planned_job(make_set(), EncoderSpec(checkpoint="/models/" + "m" * 250))
