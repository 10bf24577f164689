"""Ten thousand bad inputs over forms, uploads and API of a running server, as each kind of visitor."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import get_resolver

from annotation.models import Annotator, ReportLink, Study
from annotation.reports.report_jobs.downloads import DOWNLOADS
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.actions import ACTIONS
from annotation.studies.sharing import Role, create_report_link
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.tokens import Scope, create_token
from annotation.voting.annotators import invite
from annotation.web.urls import api
from tests.campaign import Campaign, Visitor
from tests.factories import make_study, member
from tests.journeys.web_process import WebProcess
from tests.test_hostile_input import addresses

COUNT = 10_000
STATES = ("draft", "ready", "open", "closed")
FRAME = {
    "questions": [{"name": "age", "text": "How old are you?", "kind": "number"}],
    "check": [{"text": "What is judged?", "choices": ["Consistency", "Beauty"], "answer": "Consistency"}],
    "asks_comment": True,
}
PLATFORM = {"id_parameter": "PROLIFIC_PID", "complete_code": "DONE", "redirect_url": "https://p.example/{code}"}


@pytest.fixture
def studies(transactional_db: None) -> list[Study]:
    plan: dict[str, Any] = {
        "frame": FRAME,
        "texts": {"consent": "I agree."},
        "platform": PLATFORM,
        "analysis": {"resamples": 100},
    }
    found = [make_study(slug=f"{state}-study", state=state, **plan) for state in STATES]
    found.append(make_study(slug="external-study", source="external"))
    for study in found:
        invite(study=study, label="Ada") if study.source != "external" else None
        create_report_link(study=study)
    return found


def logged_in(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    client.get("/accounts/login/")
    client.get("/resume/")
    return {name: morsel.value for name, morsel in client.cookies.items()}


def visitors(studies: list[Study]) -> list[Visitor]:
    """Each kind of visitor, the strongest last. Roles are in all studies."""
    found = [Visitor("stranger"), Visitor("who guesses a token", token="sem_" + "A" * 43)]
    outsider = User.objects.create_user("outsider")
    found.append(Visitor("account without a role", logged_in(outsider)))
    for role in Role:
        user = member(studies[0], role)
        user.user_permissions.add(Permission.objects.get(codename="add_study"))
        for study in studies[1:]:
            study.shares.update_or_create(account=user, defaults={"role": role})
        _row, token = create_token(account=user, name="t", scopes=Scope.values, days=1)
        found.append(Visitor(str(role), logged_in(user), token))
    admin = User.objects.create_superuser("admin")
    _row, token = create_token(account=admin, name="t", scopes=Scope.values, days=1)
    return [*found, Visitor("admin", logged_in(admin), token)]


def known_values(studies: list[Study]) -> dict[str, list[str]]:
    links = ReportLink.objects.filter(study__in=studies)
    people = Annotator.objects.filter(study__in=studies)
    job = request_report(studies[-2])
    return {
        "slug": [study.slug for study in studies],
        "token": [*people.values_list("token", flat=True), *links.values_list("token", flat=True)],
        "open_link_token": [study.open_link_token for study in studies],
        "annotator_id": [str(pk) for pk in people.values_list("pk", flat=True)],
        "action": list(ACTIONS),
        "report_format": list(DOWNLOADS),
        "name": ["agreement", "study-guide", "api"],
        "step": ["instructions", "comparisons", "check", "questions"],
        "rendition": ["grid", "zoom"],
        "kind": ["csv", "json", "images", "votes", "scores"],
        "file": ["0", write_study_file(current_manifest(studies[0]))],
        "piece": ["0"],
        "upload_id": ["1", "2"],
        "link_id": ["1"],
        "number": ["1"],
        "position": ["0", "1"],
        "side": ["a", "b"],
        "seed": ["0"],
        "report_id": ["1", str(job.pk)],
        "account": ["owner", "viewer"],
        "role": ["viewer", "owner"],
        "labels": ["Ada"],
    }


@pytest.fixture
def server(studies: list[Study], tmp_path: Path) -> Iterator[WebProcess]:
    """The server as shipped, behind one proxy, so that each request may come from another address."""
    process = WebProcess(
        Path(settings.MEDIA_ROOT).parent,
        *("--config", "python:config.gunicorn"),
        DEBUG="0",
        SEMBLANCE_STATIC=str(tmp_path / "static"),
        CELERY_BROKER_URL="memory://",
        TRUSTED_PROXIES="1",
    )
    command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(command, env=process.environment, cwd=settings.BASE_DIR, check=True)
    process.start()
    yield process
    process.kill()


@pytest.mark.slow
def test_ten_thousand_bad_inputs_meet_no_fault_of_the_server(studies: list[Study], server: WebProcess) -> None:
    routes = [route for route in sorted(set(addresses(get_resolver().url_patterns))) if "logout" not in route]
    campaign = Campaign(
        server.url, visitors(studies), routes, known_values(studies), api.get_openapi_schema(), random.Random(20261129)
    )
    campaign.run(COUNT)
    assert campaign.faults == [], "\n".join(campaign.faults)
    assert sum(campaign.statuses.values()) == COUNT
    assert {200, 302, 400, 403, 404, 405, 422} <= set(campaign.statuses), "the inputs get deep, and are refused there"
