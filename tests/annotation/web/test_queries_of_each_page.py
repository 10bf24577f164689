"""Every page of a researcher and of an admin runs fewer than twelve queries, in Django's admin too.

What a page keeps for a while (parsed manifests, counted bytes, a study's snapshot, a report) is there already: each
page is opened twice, and the second time counts.
"""

import re
from collections.abc import Iterable, Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import ImageReport, Study, StudyShare, Upload
from annotation.studies.current import current_manifest
from annotation.studies.mail.addresses import Recipient
from annotation.studies.mail.inviting import mail_invitations
from annotation.studies.sharing import create_report_link
from annotation.studies.tokens import create_token
from annotation.voting.annotators import invite
from annotation.voting.assignment import next_assignment
from annotation.web.access.who_may import ADDRESSES, Who
from tests.annotation.reports.voted_studies import Plan
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.annotation.web.access.test_permissions import address
from tests.annotation.web.installation.busy_installation import busy_installation
from tests.factories import give_vote, make_study, member

pytestmark = pytest.mark.django_db
LIMIT = 12
# docs/decisions/2026-11-29-desk.md says why: programs ask for the one, and Django's page before the deletion of an
# account asks each table that names accounts.
EXCEPTIONS = re.compile(r"/metrics|/admin/auth/user/\d+/delete/")
NO_PAGES = ("-file", "-figure", "-qr", "-image", "-curves", "-picture")
VOTES = [["A"] * 5, ["B"] * 5, ["A", "A", "A", "B", "A"]] * 4
OF_ACCOUNTS = ("/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/", "/admin/", "/admin/annotation/")


def busy_study(root: User) -> Study:
    """Return an open study with people, votes, mails, a reported image, an upload, links and a history."""
    study = make_study(comparisons=12, images_per_set=2, slug="busy", quality={"too_fast": 0.01})
    for number in range(5):
        give_vote(invite(study=study, label=f"person {number}"), position=number)
    annotator = invite(study=study, label="Ada")
    held = next_assignment(
        annotator=annotator, rules=current_manifest(study).voting_rules(), now=timezone.now()
    ).assignment
    assert held is not None
    ImageReport.objects.create(assignment=held, image_id=held.left_images[0], kind="failed", reported_at=timezone.now())
    people = [Recipient(f"person{number}@lab.example") for number in range(5)]
    text = {"subject": "x", "text": "{link}", "site": "http://testserver"}
    mail_invitations(study=study, people=people, now=timezone.now(), actor=root, **text)
    for number in range(3):
        files = {"files": [{"path": "votes.csv", "bytes": 1}], "files_sha256": f"{number}", "byte_count": 1}
        Upload.objects.create(study=study, account=root, kind="votes", folder=f"f{number}", **files)
        create_report_link(study=study)
        StudyShare.objects.create(study=study, account=User.objects.create_user(f"viewer {number}"), role="viewer")
        study.events.create(verb="noted", actor=root, detail={"reason": "x"})
    return study


@pytest.fixture
def studies() -> list[Study]:
    """A busy study, a closed one, and an installation with something on each page."""
    root = User.objects.create_superuser("root", email="root@lab.example")
    busy = busy_study(root)
    found = [busy, make_voted_study(Plan(VOTES, [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0)] * 4))]
    busy_installation(busy, root)
    create_token(account=root, name="notebook", scopes=["read"], days=30)
    return found


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def too_many(client: Client, pages: Iterable[str]) -> dict[str, int]:
    """Return the pages that run too many queries, with their number."""
    found = {}
    for page in pages:
        is_shown = not EXCEPTIONS.fullmatch(page) and client.get(page).status_code in (200, 202)
        if not is_shown:  # or a redirect, or not there now
            continue
        with CaptureQueriesContext(connection) as queries:
            client.get(page)
        if len(queries) >= LIMIT:
            found[page] = len(queries)
    return found


def pages_of(study: Study) -> Iterator[str]:
    """Yield the address of every page of a study, and of those that belong to no study."""
    for name, access in ADDRESSES.items():
        if access.get not in (None, Who.ANYONE) and not name.endswith(NO_PAGES):
            yield address(name, study)


def test_pages_of_an_owner(studies: list[Study], report_worker: None) -> None:
    busy, closed = studies
    owner = member(busy, "owner")
    StudyShare.objects.create(study=closed, account=owner, role="owner")
    client = client_of(owner)
    of_results = ("study", "study-annotators", "study-history", "report", "explorer")
    assert too_many(client, pages_of(busy)) == {}
    assert too_many(client, (address(name, closed) for name in of_results)) == {}
    assert too_many(client, [reverse("explored-comparison", args=[closed.slug, 1])]) == {}


def admin_pages() -> Iterator[str]:
    """Yield every page of Django's admin: the list, a new row, and a row with its history and its deletion."""
    for model, listed in admin.site._registry.items():
        base = f"admin:{listed.opts.app_label}_{listed.opts.model_name}"
        yield reverse(f"{base}_changelist")
        yield reverse(f"{base}_add")
        for row in model._default_manager.order_by("pk")[:1]:
            for page in ("change", "history", "delete"):
                yield reverse(f"{base}_{page}", args=[row.pk])
    study = Study.objects.earliest("pk")
    yield reverse("admin:annotation_study_amend", args=[study.pk])


def test_pages_of_an_admin(studies: list[Study]) -> None:
    client = client_of(User.objects.get(username="root"))
    of_the_installation = [page for page in pages_of(studies[0]) if not page.startswith("/studies/busy/")]
    assert too_many(client, [*of_the_installation, *OF_ACCOUNTS, *admin_pages()]) == {}
