"""The admins' pages: what they show and do. That they are for admins only: test_permissions."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from annotation.models import AuditEntry, Study
from annotation.studies.installation import storage
from annotation.studies.installation.accounts import create_account
from annotation.studies.tokens import create_token, token_of
from generation.models import Card, DiffusionModel, EndpointAccount, GenerationJob, ModelTrial
from jobs.refusals import Refused
from scoring.models import ScoringJob
from tests.annotation.web.installation.busy_installation import FAULT, busy_installation
from tests.factories import make_study, member

pytestmark = pytest.mark.django_db
PAGES = ("workers", "jobs", "models", "accounts", "storage")


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def model(study: Study, admin_user: User) -> DiffusionModel:
    return busy_installation(study, admin_user)


def shown(client: Client, page: str) -> str:
    return client.get(f"/installation/{page}").content.decode()


def said(client: Client, name: str, data: dict[str, Any], *arguments: object) -> str:
    """Post to an address, and return the page that follows."""
    return client.post(reverse(name, args=arguments), data, follow=True).content.decode()


def test_each_page_has_its_tab_few_queries_and_no_more_of_them_with_more_rows(
    model: DiffusionModel, study: Study, admin_client: Client
) -> None:
    def queries_of(page: str) -> int:
        admin_client.get(f"/installation/{page}/")  # counts the bytes, which are kept for an hour
        with CaptureQueriesContext(connection) as queries:
            html = shown(admin_client, f"{page}/")
        assert re.findall(r'aria-current="page">(\w+)<', html) == [page.capitalize()]
        return len(queries)

    before = {page: queries_of(page) for page in PAGES}
    for number, role in enumerate(("viewer", "editor", "owner")):
        DiffusionModel.objects.create(name=f"another {number}", checkpoint="/models/another")
        create_token(account=member(study, role), name="x", scopes=["read"], days=1)
        other = study.comparisons.earliest("pk").image_set_b
        ScoringJob.objects.create(image_set=other, metric=f"m{number}", state="failed", error="x")
    assert {page: queries_of(page) for page in PAGES} == before
    assert max(before.values()) < 12


def test_an_empty_installation_says_what_will_stand_there(admin_client: Client) -> None:
    assert "No worker runs" in shown(admin_client, "workers/")
    assert "No job yet" in shown(admin_client, "jobs/")
    assert "No model yet" in shown(admin_client, "models/")


def test_workers_and_a_sick_card_which_is_readmitted(model: DiffusionModel, admin_client: Client) -> None:
    html = shown(admin_client, "workers/")
    for words in ("gpu-0@gpu-host", "NVIDIA L4, gpu-host:0", "9.0 of 24.0 GiB", "images, job", "ECC error", "0.2.0"):
        assert words in html
    assert "takes jobs again" in said(admin_client, "readmit-card", {"card": "GPU-1"})
    assert not Card.objects.exclude(refused_at=None).exists()
    assert AuditEntry.objects.get(verb="card readmitted").actor_name == "admin"
    assert "There is no card nothing" in said(admin_client, "readmit-card", {"card": "nothing"})


def test_failed_jobs_stand_first_with_their_error_and_study_and_are_retried(
    model: DiffusionModel, study: Study, admin_client: Client
) -> None:
    html = shown(admin_client, "jobs/")
    assert FAULT in html
    assert study.get_absolute_url() in html, "of the failed score"
    failed = GenerationJob.objects.get(state="failed")
    act = {"kind": "images", "verb": "retry", "job": failed.pk}
    assert "1 job queued again." in said(admin_client, "job-action", act)
    failed.refresh_from_db()
    assert (failed.state, failed.attempt_count, failed.error) == ("queued", 0, "")
    assert "the job has changed meanwhile" in said(admin_client, "job-action", act)
    assert "1 job given up" in said(admin_client, "job-action", {"kind": "scores", "verb": "give-up", "job": "all"})
    queued = shown(admin_client, "jobs/?state=queued&kind=images")
    assert queued.count('class="row"') == 2
    assert ">Cancel" not in queued.partition("</nav>")[2].partition('class="rows"')[2]
    for refused in ({"kind": "images", "verb": "cancel", "job": "all"}, {"kind": "x"}, {"kind": "images", "verb": "x"}):
        assert re.search("not cancelled here|Nothing was done", said(admin_client, "job-action", refused))
    assert "1 job cancelled" in said(admin_client, "job-action", {"kind": "reports", "verb": "cancel", "job": "all"})
    verbs = AuditEntry.objects.filter(verb__startswith="jobs").values_list("verb", flat=True)
    assert list(verbs) == ["jobs retried", "jobs given up", "jobs cancelled"]


def test_each_page_of_a_kind_goes_on_after_the_last_job_of_the_page_before(
    model: DiffusionModel, study: Study, admin_client: Client
) -> None:
    ScoringJob.objects.all().delete()
    sets = study.comparisons.earliest("pk").image_set_a
    for number in range(120):
        ScoringJob.objects.create(image_set=sets, metric=f"m{number:03}", priority=number % 3, state="queued")
    address, seen, pages = "jobs/?state=queued&kind=scores", [], 0
    while address:
        html = shown(admin_client, address)
        seen += re.findall(r"<h2>m(\d+) of", html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        address = f"jobs/{following[1].replace('&amp;', '&')}" if following else ""
        pages += 1
    in_order = sorted(range(120), key=lambda number: (-(number % 3), number))
    assert list(map(int, seen)) == in_order, "each job once, the highest priority first"
    assert pages == 3
    ScoringJob.objects.update(state="failed", error="x")
    seen = re.findall(r"<h2>m(\d+) of", shown(admin_client, "jobs/?state=failed&kind=scores"))
    assert list(map(int, seen)) == sorted(range(120), key=lambda number: (number % 3, -number))[:50]
    for odd in ("x", "-", "0-", "-5", "9-x", "٣-٤", "1" * 40 + "-1"):
        assert admin_client.get(f"/installation/jobs/?state=failed&kind=scores&after={odd}").status_code == 200


def test_images_that_cost_money_are_asked_for_again_after_their_price_is_seen(
    model: DiffusionModel, admin_client: Client
) -> None:
    EndpointAccount.objects.create(
        name="painter", adapter="openai", is_seeded=False, currency="EUR", price_micros=40_000
    )
    failed = GenerationJob.objects.get(state="failed")
    DiffusionModel.objects.filter(pk=model.pk).update(checkpoint="", endpoint="painter")
    act = {"kind": "images", "verb": "retry", "job": "all"}
    page = said(admin_client, "job-action", act)
    assert "which may cost 0.16 EUR" in page
    failed.refresh_from_db()
    assert failed.state == "failed"
    assert "1 job queued again." in said(admin_client, "job-action", act | {"paid": "yes"})


def test_models_with_their_facts_and_the_image_of_a_trial(model: DiffusionModel, admin_client: Client) -> None:
    html = shown(admin_client, "models/")
    for words in ("StableDiffusionXLPipeline", "openrail++", "ab12ab12ab12", "6.5 GiB", "1.1 s, 9.3 GiB", "no study"):
        assert words in html, words
    trial = ModelTrial.objects.exclude(parameters={}).get()
    picture = admin_client.get(reverse("trial-picture", args=[trial.pk]))
    assert (picture["Content-Type"], picture.content[8:12]) == ("image/webp", b"WEBP")
    check = ModelTrial.objects.get(parameters={})
    assert admin_client.get(reverse("trial-picture", args=[check.pk])).status_code == 404
    assert "A worker will check the files" in said(admin_client, "check-model", {}, model.pk)
    assert "will make one image" in said(admin_client, "try-model", {"prompt": "two  cats"}, model.pk)
    trial.refresh_from_db()
    check.refresh_from_db()
    assert (trial.state, trial.prompt, check.state) == ("queued", "two cats", "queued")
    assert "prompt: write what" in said(admin_client, "try-model", {"prompt": " "}, model.pk)
    painter = DiffusionModel.objects.get(name="painter")
    assert "may cost money" in said(admin_client, "try-model", {"prompt": "a"}, painter.pk)
    assert "No model matches" in shown(admin_client, "models/?words=nothing")


def test_an_account_is_made_chooses_its_password_changes_and_is_deactivated(admin_client: Client) -> None:
    made = said(admin_client, "installation-accounts", {"name": "ada", "email": "ada@lab.example", "kind": "maker"})
    (address,) = re.findall(r'readonly value="http://testserver([^"]+)"', made)
    visitor = Client()
    form = visitor.get(address, follow=True)
    password = "a long password of hers"
    chosen = visitor.post(form.redirect_chain[-1][0], {"password1": password, "password2": password})
    assert chosen.status_code == 302
    assert reverse("account_login") in visitor.get(chosen["Location"]).content.decode().split("<main")[1]
    assert visitor.login(username="ada", password=password)
    ada = User.objects.get(username="ada")
    assert (ada.is_staff, ada.is_superuser, ada.has_perm("annotation.add_study")) == (True, False, True)
    assert visitor.get(address, follow=True).content.decode().count("password1") == 0, "a link is used once"
    for again in ({"name": "ADA", "kind": "admin"}, {"name": "bob", "email": "ADA@lab.example", "kind": "admin"}):
        refused = said(admin_client, "installation-accounts", again)
        assert re.search("There is already an account|Another account", refused)
    assert "is changed" in said(admin_client, "account-action", {"kind": "researcher"}, ada.pk)
    assert not User.objects.get(pk=ada.pk).has_perm("annotation.add_study")
    _, secret = create_token(account=ada, name="her script", scopes=["read"], days=3)
    assert "her script" in shown(admin_client, "accounts/?words=ada")
    assert visitor.get("/studies/").status_code == 200
    assert "have ended" in said(admin_client, "account-action", {"active": "no"}, ada.pk)
    assert visitor.get("/studies/").status_code == 302
    assert token_of(secret, now=timezone.now()) is None
    assert "activate the account first" in said(admin_client, "account-action", {"link": "yes"}, ada.pk)
    assert "is active again" in said(admin_client, "account-action", {"active": "yes"}, ada.pk)
    revoked = said(admin_client, "account-action", {"revoke": ada.api_tokens.get().pk}, ada.pk)
    assert "is revoked" in revoked
    assert token_of(secret, now=timezone.now()) is None
    own = User.objects.get(username="admin")
    for change in ({"active": "no"}, {"kind": "researcher"}):
        assert "another admin has to change" in said(admin_client, "account-action", change, own.pk)
    seen = AuditEntry.objects.exclude(verb="logged in").values_list("verb", flat=True)
    assert list(seen) == [
        *("account created", "password link made", "account changed", "token created"),
        *("account deactivated", "account activated", "token revoked"),
    ]


def test_logins_and_failed_logins_stand_in_the_audit_without_what_was_typed(admin_client: Client) -> None:
    User.objects.create_user("ada", password="a long password", is_staff=True)
    for name, password in (("ada", "a wrong password"), ("my-password-by-mistake", "x"), ("ada", "a long password")):
        Client().post("/accounts/login/", {"login": name, "password": password})
    entries = AuditEntry.objects.order_by("pk").values_list("verb", "actor_name", "detail")
    assert list(entries) == [
        ("login failed", "", {"account": "ada"}),
        ("login failed", "", {"account": "of an unknown name"}),
        ("logged in", "ada", {"by": ["password"]}),
    ]
    listed = admin_client.get(reverse("admin:annotation_auditentry_changelist")).content.decode()
    assert "login failed" in listed


def test_storage_counts_once_in_an_hour_and_empties_only_what_may_be(
    study: Study, admin_client: Client, settings: Settings, tmp_path: Path
) -> None:
    cache.clear()
    settings.REPORTS_ROOT, settings.UPLOADS_ROOT = tmp_path / "reports", tmp_path / "uploads"
    for folder in ("reports/files", "uploads/one"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_bytes(b"x" * 2048)
    html = shown(admin_client, "storage/")
    assert "2.0 KiB" in html
    assert "6</dd>" in html, "the images of the study"
    (tmp_path / "reports" / "more").write_bytes(b"")
    assert storage.storage().sizes["reports"].files == 1, "kept"
    assert admin_client.post("/installation/storage/").status_code == 302
    assert storage.storage().sizes["reports"].files == 2, "counted anew"
    assert "computed again" in said(admin_client, "empty-place", {}, "reports"), "it asks first"
    assert "2 files removed, 2.0 KiB." in said(admin_client, "empty-place", {"confirmed": "yes"}, "reports")
    assert list((tmp_path / "reports").iterdir()) == []
    for place in ("uploads", "renditions", "nothing"):
        assert "cannot be emptied" in said(admin_client, "empty-place", {"confirmed": "yes"}, place)
    assert (tmp_path / "uploads" / "one" / "file").exists()
    assert AuditEntry.objects.get(verb="storage removed").detail == {"place": "Reports", "files": 2, "bytes": 2048}


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_at_once_makes_one_account() -> None:
    def said(_number: int) -> str:
        try:
            return str(create_account(name="ada", email="", kind="maker", actor=None))
        except Refused as refusal:
            return str(refusal)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        answers = sorted(pool.map(said, range(3)))
    assert answers == ["ada", *["name: there is already an account called ada."] * 2]
