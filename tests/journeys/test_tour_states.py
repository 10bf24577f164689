"""The states of pages that the tour passes by: empty, refused, busy, ended. Pictures of each, or axe on each.

`make screenshots` takes the pictures; axe over all of them is among the slow tests.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, ReportJob, Study, StudyShare, Upload, UploadJob
from annotation.reports.report_jobs import report_jobs
from annotation.studies.mail.sending import send_password_links
from scoring.models import ScoringJob
from tests.annotation.reports.voted_studies import Plan as VotedPlan
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.annotation.web.access.fake_issuer import fake_issuer, switched_on
from tests.annotation.web.annotator.test_onboarding import FRAME, PLATFORM, TEXTS
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import give_vote, make_researcher, make_study, member, put_in_state
from tests.journeys.researcher_pages import log_in
from tests.journeys.test_tour import tour
from tests.journeys.tour import PICTURES, Tour

__all__ = ["tour"]
pytestmark = [pytest.mark.django_db(transaction=True), *([] if PICTURES else [pytest.mark.slow])]
VOTES = [["A"] * 5, ["B"] * 5, ["A", "A", "A", "B", "A"]] * 4


def test_every_state(tour: Tour) -> None:
    visit_forgotten_passwords(tour)
    visit_single_sign_on(tour)
    log_in(tour)
    visit_empty_pages(tour)
    visit_the_states_of_a_study(tour)
    visit_people_of_every_kind(tour)
    visit_uploads(tour)
    visit_results_that_are_not_there(tour)
    visit_what_is_refused(tour)
    visit_the_walk_of_a_preview(tour)
    visit_the_installation(tour)
    assert tour.faults == []


def researcher() -> User:
    return User.objects.get(username="researcher")


def visit_forgotten_passwords(tour: Tour) -> None:
    make_researcher("a long password")
    User.objects.create_user("ada", email="ada@lab.example", password="forgotten")
    tour.go("/accounts/password/reset/")
    tour.stop("password-forgotten")
    tour.page.get_by_label("E-mail").fill("ada@lab.example")
    tour.press("Send me a link")
    tour.stop("password-mail-on-its-way")
    send_password_links("ada@lab.example", tour.server)
    link = next(line for line in str(mail.outbox[-1].body).splitlines() if "/reset/key/" in line)
    tour.page.goto(link)
    tour.page.get_by_label("New Password", exact=False).first.fill("ada")
    tour.page.get_by_label("New Password", exact=False).nth(1).fill("ada")
    tour.press("Set the password")
    tour.stop("password-refused")
    User.objects.filter(username="ada").update(password="another")
    tour.page.goto(link)
    tour.stop("password-link-has-ended")
    User.objects.filter(username="ada").delete()
    tour.go("/accounts/login/")
    tour.page.get_by_label("Username").fill("researcher")
    tour.page.get_by_label("Password").fill("wrong")
    tour.page.get_by_role("main").get_by_role("button", name="Log in").click()
    tour.stop("login-refused")
    User.objects.filter(username="researcher").delete()


def visit_single_sign_on(tour: Tour) -> None:
    with fake_issuer() as issuer, switched_on(issuer):
        tour.go("/accounts/login/")
        tour.stop("login-with-an-issuer")
        tour.go("/accounts/single-sign-on/callback/?state=x&code=y")
        tour.stop("single-sign-on-failed")


def visit_empty_pages(tour: Tour) -> None:
    for path, name in (
        ("/studies/", "studies-empty"),
        ("/notices/", "notices-empty"),
        ("/tokens/", "tokens-empty"),
        ("/docs/?q=zzzz", "docs-search-nothing"),
        ("/studies/nothing-here/", "404-logged-in"),
        ("/installation/workers/", "403-installation"),
        ("/", "landing-logged-in"),
    ):
        tour.go(path)
        tour.stop(name)
    tour.go("/tokens/")
    tour.page.get_by_label("Name").fill("notebook")
    tour.press("Create a token")
    tour.stop("tokens-created")
    person = researcher()
    person.user_permissions.clear()
    tour.go("/studies/")
    tour.stop("studies-empty-of-a-viewer")
    User.objects.filter(pk=person.pk).delete()
    tour.page.context.clear_cookies()
    log_in(tour)
    for number in range(4):
        make_study(slug=f"kites-{number}", comparisons=3, state=("draft", "ready", "open", "closed")[number])
    tour.go("/studies/")
    tour.stop("studies-of-every-state")
    tour.go("/studies/?words=zebras")
    tour.stop("studies-no-match")


def visit_the_states_of_a_study(tour: Tour) -> None:
    """The overview of a study in each state, and while its jobs fail."""
    study = draw_study(prompt_count=4, images_per_set=4, state="draft", quality={"too_fast": 0.01}).study
    address = study.get_absolute_url()
    for state in ("generating", "scoring", "ready", "paused", "closed"):
        put_in_state(study, state)
        tour.go(address)
        tour.stop(f"overview-{state}")
    models: dict[str, Any] = {f"model_{key}": {"name": f"New {key}", "checkpoint": f"/models/{key}"} for key in "ab"}
    failing = make_study(slug="failing", has_scores=False, source="generated", comparisons=3, **models)
    put_in_state(failing, "generating")
    tour.go(failing.get_absolute_url())
    tour.stop("overview-waiting-for-a-worker")
    tour.go(f"{failing.get_absolute_url()}images/")
    tour.stop("images-being-made")
    external = make_study(slug="external", source="external", comparisons=5)
    for path in ("", "annotators/", "settings/", "history/"):
        tour.go(f"{external.get_absolute_url()}{path}")
        tour.stop(f"external-{path.rstrip('/') or 'overview'}")


def visit_people_of_every_kind(tour: Tour) -> None:
    """Annotators in every situation, on their page and on the overview; links, mails, personal data."""
    drawn = draw_study(prompt_count=4, images_per_set=4, frame=FRAME, platform=PLATFORM, texts=TEXTS)
    study, now = drawn.study, timezone.now()
    for number in range(3):
        give_vote(drawn.invite(f"voter {number}"), position=number)
    long_ago = now - timedelta(hours=3)
    people: tuple[tuple[str, dict[str, Any]], ...] = (
        ("never came", {}),
        ("reads", {"instructions_read_at": now}),
        ("idle", {"instructions_read_at": long_ago}),
        ("done", {"state": "finished", "finished_at": now}),
        ("screened out", {"state": "screened_out", "screened_out_for": "comprehension"}),
        ("breaks rules", {"broken_rules": "too_fast", "instructions_read_at": now}),
    )
    for label, changes in people:
        Annotator.objects.filter(pk=drawn.invite(label).pk).update(**changes)
    address = study.get_absolute_url()
    for path in ("", "annotators/", "invitations/", "personal-data/", "settings/"):
        tour.go(f"{address}{path}")
        tour.stop(f"people-{path.rstrip('/') or 'overview'}")
    tour.go(f"{address}invitations/")
    tour.page.get_by_label("Addresses").fill("no address")
    tour.press("Send invitations")
    tour.stop("invitations-refused-mail")
    tour.go(f"{address}settings/")
    tour.page.get_by_label("Votes for each comparison").fill("1")
    tour.press("Change the settings")
    tour.stop("settings-refused")
    put_in_state(study, "closed")
    for path in ("invitations/", "annotators/"):
        tour.go(f"{address}{path}")
        tour.stop(f"closed-{path.rstrip('/')}")
    Study.objects.filter(pk=study.pk).update(erased_at=now)
    tour.go(f"{address}personal-data/")
    tour.stop("personal-data-erased")
    Study.objects.filter(pk=study.pk).update(archived_at=now)
    tour.go(f"{address}sharing/")
    tour.stop("sharing-archived")


def visit_uploads(tour: Tour) -> None:
    study = make_study(slug="uploads", state="draft", comparisons=2)
    faults = [f"images/a prompt/{number}.png: is no image that can be read." for number in range(3)]
    states: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
        ("running", {"percent": 40, "step": "2 of 5 sets"}, {}),
        ("done", {"percent": 100}, {"summary": "4 sets with 8 images imported.", "faults": faults}),
        ("failed", {"error": "images.zip: is no zip file that can be read. Nothing was imported."}, {}),
        ("queued", {}, {}),
    )
    for number, (state, changes, outcome) in enumerate(states):
        upload = Upload.objects.create(
            study=study, account=researcher(), kind="images", folder=f"f{number}", byte_count=8_000_000,
            files=[{"path": f"images-{number}.zip", "bytes": 8_000_000, "sha256": "", "modified": ""}],
            files_sha256=f"{number}" * 64, is_received=True,
        )  # fmt: skip
        lease = {"lease_expires_at": timezone.now() + timedelta(hours=1)} if state == "running" else {}
        UploadJob.objects.create(upload=upload, state=state, outcome=outcome, **changes, **lease)
    tour.go(f"{study.get_absolute_url()}uploads/")
    tour.stop("uploads-of-every-state")


def visit_results_that_are_not_there(tour: Tour) -> None:
    """Reports, comparisons and pilots that are sealed, wait, or failed."""
    sealed = draw_study(prompt_count=2, images_per_set=4).study
    for path in ("report/", "comparisons/"):
        tour.go(f"{sealed.get_absolute_url()}{path}")
        tour.stop(f"sealed-{path.rstrip('/')}")
    failed = make_voted_study(VotedPlan(VOTES, [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0)] * 4, slug="failed-report"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_jobs, "enqueue", lambda _jobs: None)
        tour.go(f"{failed.get_absolute_url()}report/")
        tour.page.goto("about:blank")
        ReportJob.objects.filter(study=failed).update(state="failed", error="The disk is full.")
        tour.go(f"{failed.get_absolute_url()}report/")
    tour.stop("report-failed")
    main = make_study(slug="main", state="ready", comparisons=6)
    Study.objects.filter(pk=sealed.pk).update(pilot_of=main)
    tour.go(reverse("study-pilot", args=[sealed.slug]))
    tour.stop("pilot-sealed")
    tour.go(reverse("study-pilot", args=[main.slug]))
    tour.page.get_by_label("Prompts of the pilot").fill("6")
    tour.page.get_by_role("main").get_by_role("button").last.click()
    tour.stop("pilot-refused")


def visit_what_is_refused(tour: Tour) -> None:
    tour.go("/studies/new/?start=several")
    tour.stop("new-study-of-several-models")
    tour.go("/studies/new/")
    tour.page.get_by_role("button", name="Create study").click()
    tour.stop("new-study-refused")
    tour.go("/studies/plan/?agreement=0.5&baseline=0.6")
    tour.stop("plan-refused")
    study = make_study(slug="of-others", comparisons=1)
    StudyShare.objects.filter(study=study).delete()
    member(study, "owner")
    StudyShare.objects.create(study=study, account=researcher(), role="viewer")
    for path in ("", "annotators/", "settings/"):
        tour.go(f"{study.get_absolute_url()}{path}")
        tour.stop(f"viewer-{path.rstrip('/') or 'overview'}")
    tour.go(f"{study.get_absolute_url()}sharing/")
    tour.stop("403-role")


def visit_the_walk_of_a_preview(tour: Tour) -> None:
    study = draw_study(
        prompt_count=2, images_per_set=4, state="ready", frame=FRAME, platform=PLATFORM, texts=TEXTS
    ).study
    for step in ("", "welcome/", "questions/", "instructions/", "check/", "end/"):
        tour.go(f"{study.get_absolute_url()}preview/{step}")
        tour.stop(f"preview-walk-{step.rstrip('/') or 'start'}")


def visit_the_installation(tour: Tour) -> None:
    User.objects.filter(username="researcher").update(is_superuser=True)
    study = make_study(slug="busy", comparisons=3)
    jobs = [
        ScoringJob(image_set=study.comparisons.earliest("pk").image_set_a, metric=f"m{number}", state="queued")
        for number in range(120)
    ]
    ScoringJob.objects.bulk_create(jobs)
    tour.go("/installation/jobs/?state=queued&kind=scores")
    tour.page.get_by_role("link", name="Next").click()
    tour.stop("installation-jobs-second-page")
    tour.go("/installation/models/?words=zebra")
    tour.stop("installation-models-no-match")
    tour.go("/installation/accounts/")
    tour.page.get_by_label("Name:", exact=True).fill("a name with spaces")
    tour.press("Create the account")
    tour.stop("installation-account-refused")
    User.objects.create_user("gone", is_active=False, is_staff=True, email="gone@lab.example")
    tour.go("/installation/accounts/")
    tour.press("Account")
    tour.stop("installation-accounts-with-the-menu")
