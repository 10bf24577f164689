"""A study one of whose models is an endpoint: launching it, its worker, its page, its history and its report."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from celery.canvas import Signature
from django.core.management import CommandError, call_command
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django.fixtures import Settings

from annotation.models import Study
from annotation.reports.data.gathering import gather
from annotation.reports.findings.study.study_facts import notices
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.transitions import advance, launch
from annotation.studies.lifecycle.workers import missing_worker
from generation.machines.workers import leave_sign
from generation.models import ENDPOINT_TASK, DiffusionModel, EndpointAccount, GenerationJob, ImageSet, RefusedSeed
from generation.recorded_images.records import record_image
from jobs import messages
from jobs.refusals import Refused
from tests.factories import make_manifest
from tests.generation.endpoints.fake_endpoint import as_json, define, fake_endpoint, own_contract

pytestmark = pytest.mark.django_db
SENTENCE = (
    "Beta: the endpoint painter (gpt-image-1) makes its images. It takes no seeds, so its images are not "
    "reproducible. For all studies it has cost 1.24 of at most 200.00 USD, 0.04 for each image."
)


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
        price_micros=40_000,
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
        facts = {"is_reproducible": False} if image_set.diffusion_model == study.diffusion_models[1] else {}
        for number, seed in enumerate(image_set.seeds):
            image = Image.new("RGB", (16, 16), (number, image_set.pk % 256, 0))
            record_image(image_set=image_set, seed=seed, image=image, provenance=facts)
    GenerationJob.objects.update(state=GenerationJob.State.DONE)


def test_what_cannot_be_made_again_is_marked(study: Study, account: EndpointAccount, admin_client: Client) -> None:
    launch(study=study)
    advance(study)
    make_images(study)
    advance(study)
    assert study.state == Study.State.SCORING
    assert study.events.get(verb="generated").detail == {"not_reproducible": "Beta"}
    said = notices(gather(study, manifest=current_manifest(study)))
    assert "Not reproducible: the images of Beta were made without seeds." in said
    page = admin_client.get(reverse("study", args=[study.slug])).content.decode()
    assert SENTENCE in page
    assert f"{study.slug}: {SENTENCE}" in status(study)
    assert json.loads(status(study, "--format", "json"))["endpoints"] == [SENTENCE]


def failed_jobs(study: Study, model: DiffusionModel) -> QuerySet[GenerationJob]:
    """Launch the study, let the jobs of one model fail, and return them."""
    launch(study=study)
    advance(study)
    jobs = GenerationJob.objects.filter(image_set__diffusion_model=model)
    jobs.update(state=GenerationJob.State.FAILED, error="it is ill")
    return jobs


def test_retrying_its_jobs_names_the_price_and_asks_first(
    study: Study, account: EndpointAccount, admin_client: Client
) -> None:
    jobs = failed_jobs(study, study.diffusion_models[1])
    address = reverse("study-action", args=[study.slug, "retry"])
    asked = admin_client.post(address).content.decode()
    count = sum(len(job.seeds) for job in jobs)
    sentence = f"At most {count} images will be asked of the endpoint painter, which may cost {count * 0.04:.2f} USD."
    assert sentence in asked
    assert set(jobs.values_list("state", flat=True)) == {GenerationJob.State.FAILED}
    admin_client.post(address, {"confirmed": "yes"})
    assert set(jobs.values_list("state", flat=True)) == {GenerationJob.State.QUEUED}


def test_the_list_of_jobs_names_the_price_before_any_of_them_is_queued(
    study: Study, account: EndpointAccount, admin_client: Client
) -> None:
    jobs = failed_jobs(study, study.diffusion_models[1])
    chosen = list(jobs.values_list("pk", flat=True))
    count = sum(len(job.seeds) for job in jobs)

    def states_after(action: str) -> tuple[str, set[str]]:
        data = {"action": action, "_selected_action": chosen}
        page = admin_client.post(reverse("admin:generation_generationjob_changelist"), data, follow=True)
        return page.content.decode(), set(jobs.values_list("state", flat=True))

    page, states = states_after("retry")
    assert f"At most {count} images will be asked" in page
    assert f"which may cost {count * 0.04:.2f} USD." in page
    assert states == {"failed"}
    page, states = states_after("retry_and_pay")
    assert "queued again" in page
    assert states == {"queued"}


def test_retrying_other_jobs_asks_nothing(study: Study, account: EndpointAccount, admin_client: Client) -> None:
    jobs = failed_jobs(study, study.diffusion_models[0])
    admin_client.post(reverse("study-action", args=[study.slug, "retry"]))
    assert set(jobs.values_list("state", flat=True)) == {GenerationJob.State.QUEUED}


def status(study: Study, *options: str) -> str:
    output = StringIO()
    call_command("study_status", study.slug, *options, stdout=output)
    return output.getvalue()


def test_the_admin_shows_costs_errors_and_refused_seeds(
    study: Study, account: EndpointAccount, admin_client: Client
) -> None:
    EndpointAccount.objects.update(last_error="The endpoint painter has a fault (503)")
    launch(study=study)
    advance(study)
    image_set = ImageSet.objects.filter(diffusion_model=study.diffusion_models[1]).first()
    assert image_set is not None
    seed = RefusedSeed.objects.create(image_set=image_set, seed=image_set.seeds[0], reason="no cubes")
    listed = admin_client.get(reverse("admin:generation_endpointaccount_changelist")).content.decode()
    for text in ("gpt-image-1", "1.24 USD", "200.00 USD", "has a fault (503)"):
        assert text in listed
    page = admin_client.get(reverse("admin:generation_endpointaccount_change", args=[account.pk])).content.decode()
    assert "0.04 USD" in page
    assert 'name="_save"' not in page
    assert "no cubes" in admin_client.get(reverse("admin:generation_refusedseed_changelist")).content.decode()
    admin_client.post(reverse("admin:generation_refusedseed_delete", args=[seed.pk]), {"post": "yes"})
    assert not RefusedSeed.objects.exists()


def test_a_trial_asks_an_endpoint_for_one_image(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {name: {"name": name, "endpoint": "painter"} for name in ("model_a", "model_b")}
    sampling = {"width": 64, "height": 64}
    study = create_study(manifest=make_manifest(source="generated", comparisons=2, sampling=sampling, **models))
    with pytest.raises(CommandError, match="ENDPOINTS_FILE is not set on this machine"):
        call_command("try_model", study.slug)
    with fake_endpoint(own_contract) as painter:
        define(
            tmp_path,
            settings,
            f'[painter]\nadapter = "semblance"\nurl = "{painter.address}"\nseeds = true\n'
            'private_addresses = ["127.0.0.0/8"]\ncost_per_image = 0.5\ncost_limit = 2\n',
        )
        call_command("try_model", study.slug)
        assert [request.document["prompt"] for request in painter.requests] == ["prompt 1", "prompt 1"]
        said = capsys.readouterr().out
        assert re.search(
            r"model_b was tried: the endpoint painter \(painter 3\.1\) made one image of 64 x 64 px in \d\.\d s; at "
            r"this rate \d+ images take \d+ s and cost 3\.00 USD\.",
            said,
        )
        painter.respond = lambda _request: as_json({"error": {"code": "moderation", "message": "no cubes"}}, 422)
        with pytest.raises(CommandError, match=r"refused the first prompt for its content \(no cubes\)"):
            call_command("try_model", study.slug)
        painter.respond = lambda _request: as_json({}, 503)
        with pytest.raises(CommandError, match=r"has a fault \(503\)\. Try again later\."):
            call_command("try_model", study.slug)
    assert EndpointAccount.objects.get().cost_micros == 1_000_000  # refused and failed requests cost nothing
    assert not ImageSet.objects.exists()
