"""A study one of whose models is an endpoint: launching it, its worker, its page, its history and its report."""

import pytest
from celery.canvas import Signature
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from PIL import Image

from annotation.models import Study
from annotation.reports.data.gathering import gather
from annotation.reports.findings.study_facts import notices
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.transitions import advance, launch
from annotation.studies.lifecycle.workers import missing_worker
from generation.image_sets import record_image
from generation.models import ENDPOINT_TASK, EndpointAccount, GenerationJob, ImageSet
from generation.workers import leave_sign
from jobs import messages
from jobs.refusals import Refused
from tests.factories import make_manifest

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    models = {"model_b": {"name": "Beta", "endpoint": "painter"}}
    return create_study(manifest=make_manifest(source="generated", comparisons=2, **models))


@pytest.fixture
def account() -> EndpointAccount:
    return EndpointAccount.objects.create(
        name="painter",
        adapter="images-api",
        is_seeded=False,
        model="gpt-image-1",
        currency="USD",
        cost_micros=1_240_000,
        limit_micros=200_000_000,
    )


def test_an_unknown_endpoint_is_refused_at_launch(study: Study) -> None:
    with pytest.raises(Refused, match=r"No worker has an endpoint called painter; none is known yet\."):
        launch(study=study)
    study.refresh_from_db()
    assert study.state == Study.State.DRAFT


def test_its_jobs_wait_for_a_worker_of_endpoints(
    study: Study, account: EndpointAccount, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    sent: list[str] = []

    def send(message: Signature) -> bool:
        sent.append(str(message.task))
        return True

    monkeypatch.setattr(messages, "send", send)
    launch(study=study)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        advance(study)
    assert sorted(set(sent)) == [ENDPOINT_TASK, GenerationJob.task_name]
    assert "asks endpoints for images: start one with" in missing_worker(study, {"gpu", "control"})
    assert missing_worker(study, {"gpu", "control", "endpoints"}) == ""
    leave_sign(name="endpoints@here")
    sent.clear()
    reap()  # its message may be lost, while the gpu works for hours
    assert sent == [ENDPOINT_TASK]


def make_images(study: Study) -> None:
    for image_set in ImageSet.objects.all():
        facts = {"is_reproducible": False} if image_set.diffusion_model == study.model_b else {}
        for number, seed in enumerate(image_set.seeds):
            image = Image.new("RGB", (16, 16), (number, image_set.pk % 256, 0))
            record_image(image_set=image_set, seed=seed, image=image, provenance=facts)
    GenerationJob.objects.update(state=GenerationJob.State.DONE)


def test_what_cannot_be_made_again_is_marked(study: Study, account: EndpointAccount, admin_user: User) -> None:
    launch(study=study)
    advance(study)
    make_images(study)
    advance(study)
    assert study.state == Study.State.SCORING
    assert study.events.get(verb="generated").detail == {"not_reproducible": "Beta"}
    said = notices(gather(study, manifest=current_manifest(study)))
    assert "Not reproducible: the images of Beta were made without seeds." in said
    client = Client()
    client.force_login(admin_user)
    page = client.get(reverse("study", args=[study.slug])).content.decode()
    assert (
        "Beta: the endpoint painter (gpt-image-1) makes its images. It takes no seeds, so its images are not "
        "reproducible. For all studies it has cost 1.24 of at most 200.00 USD."
    ) in page
