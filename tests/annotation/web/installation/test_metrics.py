"""/metrics: for the program with the token and for admins, without a secret."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from annotation.models import Study
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.transitions import launch
from generation.machines.workers import leave_sign
from generation.models import EndpointAccount, GenerationJob
from jobs import claims
from tests.annotation.studies.worker import FakeWorker, worker
from tests.factories import make_manifest

__all__ = ["worker"]
pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def study(worker: FakeWorker) -> Study:
    """A study of which one job is done and one runs, on gpu@here."""
    study = create_study(manifest=make_manifest(source="generated"))
    launch(study=study)
    worker.do(*worker.messages.pop(0))
    leave_sign(name="gpu@here", has_started=True)
    assert claims.claim_next(GenerationJob.objects.all(), worker="gpu@here:12")
    return study


def test_metrics_are_for_the_token_and_for_admins(study: Study, client: Client, settings: Settings) -> None:
    address = reverse("metrics")
    assert client.get(address).status_code == 302
    settings.METRICS_TOKEN = "a-token"
    for wrong in ("Bearer", "Bearer ", "Bearer another", "Basic a-token"):
        assert client.get(address, headers={"authorization": wrong}).status_code == 302
    told = client.get(address, headers={"authorization": "Bearer a-token"})
    assert told["Content-Type"].startswith("text/plain; version=")
    text = told.content.decode()
    assert 'semblance_jobs{kind="images",state="running"} 1.0' in text
    assert 'semblance_study_images{study="study"} 3.0' in text
    assert 'semblance_worker_busy{card="' in text
    for secret in (study.open_link_token, "a-token", settings.SECRET_KEY):
        assert secret not in text
    client.force_login(User.objects.create_user("viewer", is_staff=True))
    assert client.get(address).status_code == 403, "they name every study"
    client.force_login(User.objects.create_superuser("admin"))
    assert client.get(address).status_code == 200
    settings.METRICS_TOKEN = ""
    client.logout()
    assert client.get(address, headers={"authorization": "Bearer "}).status_code == 302


def test_metrics_of_an_installation_without_studies(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "a-token"
    EndpointAccount.objects.create(
        name="painter", is_seeded=True, currency="EUR", cost_micros=1_500_000, limit_micros=9_000_000
    )
    told = client.get(reverse("metrics"), headers={"authorization": "Bearer a-token"}).content.decode()
    assert "semblance_cards_refused 0.0" in told
    assert 'semblance_endpoint_cost{currency="EUR",endpoint="painter"} 1.5' in told
    assert 'semblance_endpoint_cost_limit{currency="EUR",endpoint="painter"} 9.0' in told
