"""The pages of researchers and admins, as the tour visits them."""

from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from annotation.models import (
    Annotator,
    Assignment,
    ImageReport,
    InvitationMail,
    Notice,
    NoticeReceipt,
    ReportJob,
    Study,
    Vote,
)
from annotation.reports.report_jobs import images_file, report_jobs
from annotation.studies.mail.addresses import Recipient
from annotation.studies.mail.inviting import mail_invitations
from annotation.studies.mail.sending import REFUSED
from annotation.studies.sharing import create_report_link
from annotation.studies.tokens import create_token
from annotation.tasks import make_report
from annotation.voting import slots
from annotation.voting.annotators import invite
from annotation.voting.image_reports import report_image
from generation.models import DiffusionModel, EndpointAccount
from tests.annotation.reports.voted_studies import Plan as VotedPlan
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.annotation.studies.lifecycle.test_quality_watch import QUALITY, came
from tests.annotation.web.annotator.test_onboarding import TEXTS
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.annotation.web.installation.busy_installation import busy_installation
from tests.factories import make_researcher, make_study, put_in_state, score_all
from tests.journeys.tour import PER_SET, Tour

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def log_in(tour: Tour) -> None:
    make_researcher("a long password")
    tour.go("/studies/")
    tour.stop("login")
    tour.page.get_by_label("Username").fill("researcher")
    tour.page.get_by_label("Password").fill("a long password")
    tour.page.get_by_role("main").get_by_role("button", name="Log in").click()
    tour.page.wait_for_url("**/studies/")
    tour.stop("studies")


def visit_the_researcher(tour: Tour) -> None:
    others = list(Study.objects.values_list("pk", flat=True))
    drawn = draw_study(prompt_count=3, images_per_set=PER_SET, notice="The two models of this study are drawings.")
    people = [drawn.invite(label) for label in ("Ada", "Grace", "Katherine")]
    invite(study=drawn.study, label="robot", kind=Annotator.Kind.SIMULATED)
    report_images(drawn, people)
    address = drawn.study.get_absolute_url()
    for path, name in (("", "study"), ("do/close/", "study-close"), ("reported/", "study-reported")):
        tour.go(address + path)
        tour.stop(name)
    visit_the_tabs(tour, drawn)
    visit_the_sharing(tour, drawn)
    visit_the_preview(tour)
    visit_the_pilots(tour)
    visit_the_report(tour, drawn, people)
    tour.go(reverse("shared-report", args=[drawn.study.report_links.get().token]))
    tour.stop("shared-report")
    for path, name in (("tokens/", "tokens"), ("studies/new/", "new-study")):
        tour.go(f"/{path}")
        tour.stop(name)
    visit_the_notices(tour, drawn.study)
    visit_the_mails(tour, draw_study(prompt_count=1, images_per_set=PER_SET).study)
    tour.go("/studies/plan/")
    tour.press("Plan")
    tour.page.get_by_role("heading", name="Answer").wait_for()
    tour.stop("plan")
    for path, name in (("password/change", "password"), ("2fa", "2fa"), ("logout", "logout")):
        tour.go(f"/accounts/{path}/")
        tour.stop(name)
    Study.objects.exclude(pk__in=others).exclude(pk=drawn.study.pk).delete()


def visit_the_tabs(tour: Tour, drawn: DrawnStudy) -> None:
    """The pages of a study that people vote in, and of a draft that has nothing yet."""
    address = drawn.study.get_absolute_url()
    for path in ("images", "annotators", "invitations", "settings"):
        tour.go(f"{address}{path}/")
        tour.stop(f"study-{path}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images_file, "enqueue", lambda _jobs: None)  # no worker runs
        tour.go(f"{address}images/all.zip")
    tour.stop("study-images-file")
    tour.page.goto("about:blank")  # the waiting page asks for its progress
    tour.go(f"{address}annotators/{drawn.study.annotators.earliest('pk').pk}/erase/")
    tour.stop("study-erase")
    draft = make_study(slug="empty-draft", state="draft")
    for path in ("", "images/", "annotators/", "invitations/", "comparisons/", "report/"):
        tour.go(f"{draft.get_absolute_url()}{path}")
        tour.stop(f"draft-{path.rstrip('/') or 'overview'}")
    draft.delete()


def visit_the_preview(tour: Tour) -> None:
    """A study that is ready, as an annotator will see it, and a draft without images."""
    ready = draw_study(prompt_count=2, images_per_set=4, state="ready", texts=TEXTS).study
    draft = make_study(slug="without-images", state="draft", comparisons=1)
    for name, study in (("preview", ready), ("preview-without-images", draft)):
        tour.go(f"{study.get_absolute_url()}preview/comparisons/")
        if study == ready:
            tour.until_votable()
        tour.stop(name)
    put_in_state(ready, "open")
    tour.go(f"{ready.get_absolute_url()}preview/")
    tour.stop("preview-over")


def visit_the_pilots(tour: Tour) -> None:
    """The form that makes a pilot of a study, and the result of one whose annotators agree in most of the pairs."""
    main = make_study(slug="main", state="ready", comparisons=40)
    votes = [["A"] * 5, ["B"] * 5, ["A", "A", "A", "B", "A"]] * 4
    pilot = make_voted_study(VotedPlan(votes, [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0)] * 4, slug="main-pilot"))
    pilot.annotators.update(state="finished")
    Study.objects.filter(pk=pilot.pk).update(pilot_of=main, name="Pilot of Main")
    for one, name in ((main, "study-pilots"), (pilot, "pilot-result")):
        tour.go(reverse("study-pilot", args=[one.slug]))
        tour.stop(name)


def visit_the_sharing(tour: Tour, drawn: DrawnStudy) -> None:
    """The roles and the history of a study, and a link to its report before there is one."""
    link = create_report_link(study=drawn.study)
    User.objects.create_user("colleague", is_staff=True)
    for path in ("sharing", "history", "uploads", "personal-data"):
        tour.go(f"{drawn.study.get_absolute_url()}{path}/")
        tour.stop(f"study-{path}")
    tour.go(reverse("shared-report", args=[link.token]))
    tour.stop("shared-report-later")


def visit_the_notices(tour: Tour, study: Study) -> None:
    """One unread notice, counted in the head of every page."""
    notice = Notice.objects.create(study=study, kind="votes_complete", words="All votes are there.", began_at=NOON)
    NoticeReceipt.objects.create(notice=notice, account=User.objects.get(username="researcher"))
    tour.go("/notices/")
    tour.stop("notices")


def visit_the_mails(tour: Tour, study: Study) -> None:
    """Two mails of an open study, of which one failed, and the page that ends them."""
    people = [Recipient("ada@lab.example", "Ada"), Recipient("grace@lab.example")]
    mail_invitations(
        study=study, people=people, subject="x", text="{link}", site=tour.server, now=timezone.now(), actor=None
    )
    InvitationMail.objects.filter(contact__address=people[0].address).update(state="failed", why=REFUSED)
    tour.go(f"{study.get_absolute_url()}invitations/")
    tour.page.get_by_text("Remind those who").click()
    tour.stop("study-invitations-mails")
    tour.go(reverse("no-mail", args=[study.contacts.earliest("pk").annotator.token]))
    tour.stop("no-mail")


def report_images(drawn: DrawnStudy, people: list[Annotator]) -> None:
    """Each of them reports an image of the first comparison."""
    comparison = drawn.study.comparisons.get(position=0)
    images = list(comparison.image_set_a.images.values_list("pk", flat=True))
    for person, image, kind in zip(people, images, ("offensive", "failed", "offensive"), strict=False):
        assignment = Assignment.objects.create(
            comparison=comparison, annotator=person, state="released", left_model="a", left_images=images,
            leased_at=timezone.now(), released_at=timezone.now(),
        )  # fmt: skip
        report_image(assignment=assignment, image_id=image, kind=kind, now=timezone.now())
    assert ImageReport.objects.count() == len(people)


def visit_the_report(tour: Tour, drawn: DrawnStudy, people: list[Annotator]) -> None:
    """The report refused without scores; then with votes and scores."""
    put_in_state(drawn.study, Study.State.CLOSED)
    tour.go(f"{drawn.study.get_absolute_url()}personal-data/erase/")
    tour.stop("study-personal-data-erase")
    tour.go(f"{drawn.study.get_absolute_url()}report/?metric=another")
    tour.stop("report-refused")
    score_all(drawn.study)
    for comparison in drawn.study.comparisons.all():
        for number, person in enumerate(people):
            assignment, _made = Assignment.objects.update_or_create(
                comparison=comparison, annotator=person,
                defaults={"state": "voted", "left_model": "a", "leased_at": timezone.now()},
            )  # fmt: skip
            Vote.objects.create(assignment=assignment, choice=("left", "right", "left")[number], response_ms=4000)
    with transaction.atomic():
        slots.recount(drawn.study.comparisons.values_list("pk", flat=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_jobs, "enqueue", lambda _jobs: None)  # no worker runs yet
        tour.go(f"{drawn.study.get_absolute_url()}report/")
    tour.stop("report-progress")
    tour.page.goto("about:blank")  # the waiting page would load the report by itself and interrupt us
    make_report(ReportJob.objects.get(study=drawn.study).pk)
    tour.go(f"{drawn.study.get_absolute_url()}report/")
    tour.page.wait_for_load_state("networkidle")
    tour.stop("report")
    tour.go(f"{drawn.study.get_absolute_url()}comparisons/")
    tour.stop("explorer")
    tour.go(f"{drawn.study.get_absolute_url()}comparisons/1/")
    tour.stop("explored-comparison")


def visit_the_admin(tour: Tour) -> None:
    """A study whose quality rule raises an alarm, on its page and in the admin; then a page that is refused."""
    study = draw_study(prompt_count=5, images_per_set=PER_SET, quality=QUALITY).study
    came(study, [""] * 40 + ["checks_failed"] * 10)
    tour.go(study.get_absolute_url())
    tour.stop("study-alarm")
    for path in ("change", "amend"):
        tour.go(f"/admin/annotation/study/{study.pk}/{path}/")
        tour.stop(f"admin-{path}", ours="#content")  # the rest of the page is Django's
    draft = make_study(slug="a-draft", state="draft")
    for name, one in (("admin-delete", draft), ("admin-delete-refused", study)):
        tour.go(f"/admin/annotation/study/{one.pk}/delete/")
        tour.stop(name, ours="#content")
    tour.go("/admin/auth/user/")
    tour.stop("403")


def visit_the_installation(tour: Tour) -> None:
    """The admins' pages, empty and full; the researcher is an admin meanwhile."""
    person = User.objects.get(username="researcher")
    User.objects.filter(pk=person.pk).update(is_superuser=True, email="researcher@lab.example")
    pages = ("workers", "jobs", "models", "accounts", "storage")
    for page in pages[:3]:
        tour.go(f"/installation/{page}/")
        tour.stop(f"installation-{page}-empty")
    study = make_study(slug="installation")
    model = busy_installation(study, person)
    create_token(account=person, name="notebook", scopes=["read"], days=30)
    for page in pages:
        tour.go(f"/installation/{page}/")
        for summary in tour.page.locator("summary").all():
            summary.click()
        tour.stop(f"installation-{page}")
    tour.go("/installation/jobs/?state=queued&kind=images")
    tour.stop("installation-jobs-queued")
    tour.go("/installation/accounts/")
    tour.page.get_by_label("Name:", exact=True).fill("grace")
    tour.press("Create the account")
    tour.stop("installation-account-created")
    tour.go("/accounts/password/reset/key/done/")
    tour.stop("password-set")
    (settings.REPORTS_ROOT / "a-report").mkdir(parents=True, exist_ok=True)
    (settings.REPORTS_ROOT / "a-report" / "file").write_bytes(b"x" * 4096)
    tour.go("/installation/storage/")
    tour.press("Count again")
    tour.press("Empty Reports")
    tour.stop("installation-empty-place")
    EndpointAccount.objects.create(
        name="painter", adapter="openai", is_seeded=False, currency="EUR", price_micros=40_000
    )
    DiffusionModel.objects.filter(pk=model.pk).update(checkpoint="", endpoint="painter")
    tour.go("/installation/jobs/?state=failed&kind=images")
    tour.press("Retry all of this kind")
    tour.stop("installation-retry-and-pay")
    User.objects.filter(pk=person.pk).update(is_superuser=False)
