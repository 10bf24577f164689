"""Which encoder is told of new images: that of a study which waits for them, if the installation wants that."""

import pytest
from pytest_django.fixtures import Settings

from annotation.models import Study
from annotation.studies.lifecycle import embedding
from generation.models import GenerationJob
from tests.factories import make_study, put_in_state

pytestmark = pytest.mark.django_db


def test_the_encoder_of_the_study_that_waits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "embedding_sink", lambda spec: spec)
    study = make_study()
    comparison = study.comparisons.earliest("pk")
    job = GenerationJob(image_set=comparison.image_set_a, chunk=0, seeds=[1])
    settings.EMBED_WHILE_SAMPLING = True
    assert embedding.sinks_of(job) == ()  # its study waits for no image
    put_in_state(study, Study.State.GENERATING)
    [spec] = embedding.sinks_of(job)
    assert getattr(spec, "kind", "") == "clip"
    settings.EMBED_WHILE_SAMPLING = False
    assert embedding.sinks_of(job) == ()
