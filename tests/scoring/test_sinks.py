"""Images are embedded straight after they are made; what was not is embedded by the scoring job."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generation.models import GenerationJob, ImageSet
from generation.pictures.local_folder import LocalFolder
from generation.sampling import recording
from generation.tasks import run_generation_job
from scoring.embeddings import embed_set, embeddings_of
from scoring.encoder_spec import Embeddings, EncoderSpec
from scoring.models import Encoder, ImageEmbedding
from scoring.sinks import embedding_sink
from tests.generation.planned_sets import diffusion_model, only_job, planned

pytestmark = pytest.mark.django_db


@pytest.fixture
def spec(tiny_encoders: Path, monkeypatch: pytest.MonkeyPatch) -> EncoderSpec:
    spec = EncoderSpec(checkpoint=str(tiny_encoders / "clip"))

    def sinks(_job: GenerationJob) -> list[recording.Sink]:
        sink = embedding_sink(spec)
        return [sink] if sink else []

    monkeypatch.setattr(recording, "sink_makers", [sinks])
    return spec


@pytest.fixture
def image_set(tiny_models: Path) -> ImageSet:
    return planned(diffusion_model(checkpoint=str(tiny_models / "sdxl")), seeds=[1, 2, 3])


def test_embedded_from_the_pixels_in_memory(
    spec: EncoderSpec, image_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoring.encoders import loading

    with monkeypatch.context() as patch:
        patch.delattr(LocalFolder, "read")
        run_generation_job()
    straight = embeddings_of(image_set, spec.identity)
    assert embed_set(image_set=image_set, encoder=loading.load(spec)) == 0
    ImageEmbedding.objects.all().delete()
    assert embed_set(image_set=image_set, encoder=loading.load(spec)) == 3
    assert np.array_equal(embeddings_of(image_set, spec.identity), straight)


def test_an_encoder_with_other_weights_is_left_to_the_scoring_job(spec: EncoderSpec, image_set: ImageSet) -> None:
    Encoder.objects.create(identity=spec.identity, fingerprint="0" * 64)
    run_generation_job()
    assert only_job(image_set).state == GenerationJob.State.DONE
    assert not ImageEmbedding.objects.exists()


@pytest.mark.parametrize("error", [None, RuntimeError("no kernel image"), torch.OutOfMemoryError("CUDA out of memory")])
def test_an_embedding_that_fails_costs_no_image(
    spec: EncoderSpec, image_set: ImageSet, error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoring.encoders import loading

    def broken(_self: object, pictures: list[Image.Image]) -> Embeddings:
        if error:
            raise error
        return np.full((len(pictures), 4), np.nan, np.float32)

    monkeypatch.setattr(loading._LoadedEncoder, "embed", broken)
    run_generation_job()
    assert image_set.images.count() == 3
    assert only_job(image_set).state == GenerationJob.State.DONE
    assert not ImageEmbedding.objects.exists()
