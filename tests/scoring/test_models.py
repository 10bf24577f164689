"""The database's own constraints on the tables of scoring."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from generation.models import GeneratedImage, ImageSet
from scoring.models import Encoder, ImageEmbedding, ScoringJob, SetScore
from tests.scoring.embedded_sets import make_set

pytestmark = pytest.mark.django_db


@pytest.fixture
def image_set() -> ImageSet:
    return make_set(seeds=[1])


@pytest.fixture
def image(image_set: ImageSet) -> GeneratedImage:
    return image_set.images.get()


@pytest.fixture
def encoder() -> Encoder:
    return Encoder.objects.create(identity="clip:tiny", fingerprint="a" * 64)


def refused_by(constraint: str, create: Callable[[], Any]) -> None:
    """`create` breaks the constraint. SQLite names the columns of a unique constraint instead of itself."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        create()
    assert constraint in str(caught.value) or "UNIQUE" in str(caught.value)


def embed(image: GeneratedImage, encoder: str) -> ImageEmbedding:
    return ImageEmbedding.objects.create(image=image, encoder_id=encoder, dimension=1, vector=b"\0\0\0\0")


def test_one_embedding_for_one_image_and_encoder(image: GeneratedImage, encoder: Encoder) -> None:
    embed(image, encoder.identity)
    refused_by("one_embedding_per_image_and_encoder", lambda: embed(image, encoder.identity))


def test_an_image_may_have_embeddings_of_two_encoders(image: GeneratedImage, encoder: Encoder) -> None:
    Encoder.objects.create(identity="siglip:tiny", fingerprint="b" * 64)
    embed(image, "clip:tiny")
    embed(image, "siglip:tiny")
    assert image.embeddings.count() == 2


def test_an_embedding_needs_a_registered_encoder(image: GeneratedImage) -> None:
    def embed_unregistered() -> None:
        embed(image, "clip:nobody")
        connection.check_constraints()  # foreign keys wait for the commit, which a test never reaches

    refused_by("scoring_imageembedding", embed_unregistered)


def test_an_encoder_whose_embeddings_stand_is_not_deleted(image: GeneratedImage, encoder: Encoder) -> None:
    embed(image, encoder.identity)
    with pytest.raises(ProtectedError):
        encoder.delete()


def test_one_set_of_weights_for_one_identity(encoder: Encoder) -> None:
    refused_by(
        "scoring_encoder_identity", lambda: Encoder.objects.create(identity=encoder.identity, fingerprint="b" * 64)
    )


def test_a_fingerprint_is_a_sha256(db: None) -> None:
    refused_by("encoder_fingerprint_is_sha256", lambda: Encoder.objects.create(identity="clip:x", fingerprint="abc"))


def score(image_set: ImageSet, source: str, image_count: int | None) -> SetScore:
    return SetScore.objects.create(
        image_set=image_set, metric="scs/clip:tiny", value=80.0, source=source, image_count=image_count
    )


def test_one_score_for_one_set_and_metric(image_set: ImageSet) -> None:
    score(image_set, "imported", None)
    refused_by("one_score_per_set_and_metric", lambda: score(image_set, "computed", 2))


@pytest.mark.parametrize("image_count", [0, 1])
def test_a_computed_score_rests_on_two_images_at_least(image_set: ImageSet, image_count: int) -> None:
    refused_by("computed_score_rests_on_images", lambda: score(image_set, "computed", image_count))


def test_a_computed_score_says_how_many_images_it_rests_on(image_set: ImageSet) -> None:
    refused_by("computed_score_rests_on_images", lambda: score(image_set, "computed", None))


def test_an_imported_score_may_not_know_its_images(image_set: ImageSet) -> None:
    assert score(image_set, "imported", None).image_count is None


def job(image_set: ImageSet, **fields: Any) -> ScoringJob:
    return ScoringJob.objects.create(image_set=image_set, encoder={}, metric="scs/clip:tiny", **fields)


def test_one_job_for_one_set_and_metric(image_set: ImageSet) -> None:
    job(image_set)
    refused_by("scoring_job_one_per_set_and_metric", lambda: job(image_set))


@pytest.mark.parametrize("state", ["queued", "done", "failed", "cancelled"])
def test_only_a_running_job_has_a_lease(image_set: ImageSet, state: str) -> None:
    lease = {"lease_expires_at": timezone.now(), "error": "why"}
    refused_by("scoringjob_lease_only_while_running", lambda: job(image_set, state=state, **lease))


def test_a_running_job_has_a_lease(image_set: ImageSet) -> None:
    refused_by("scoringjob_lease_only_while_running", lambda: job(image_set, state="running"))


def test_a_failed_job_says_why(image_set: ImageSet) -> None:
    refused_by("scoringjob_failed_says_why", lambda: job(image_set, state="failed"))
