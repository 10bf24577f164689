"""Measure every page of the staff and every reading command: queries, and the median of some calls."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import StringIO

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, Study
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.studies.lifecycle.periodic import maintain
from annotation.tasks import make_report
from benchmarks.load.deployment import HOST
from benchmarks.scale.laboratory import Laboratory

GOAL_MS = 300
OF_THE_REPORT = ("report", "explorer")
# The tabs of a study's page, by name.
OF_A_STUDY = {
    "images": "study-images",
    "annotators": "study-annotators",
    "invitations": "make-invitations",
    "files": "uploads",
    "settings": "study-settings",
    "history": "study-history",
    "sharing": "sharing",
    "reported images": "reported",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of a page or command. `first_ms`: of the first call in this process; `median_ms`: of later calls.

    processor_ms: what the median of later calls took of a processor, which other programs do not change.
    """

    name: str
    query_count: int
    first_ms: float
    median_ms: float
    processor_ms: float

    def __str__(self) -> str:
        over = "  over the goal" if max(self.first_ms, self.median_ms) > GOAL_MS else ""
        times = " ".join(f"{ms:8.0f}" for ms in (self.first_ms, self.median_ms, self.processor_ms))
        return f"  {self.name:52} {self.query_count:4} queries {times} ms{over}"


def addresses(lab: Laboratory) -> dict[str, str]:
    """Return the URLs of the staff's pages, by a readable name."""
    large, voted, small = lab.open.slug, lab.voted.slug, lab.small.slug
    found = {
        "studies": reverse("studies"),
        "a small study": reverse("study", args=[small]),
        "the large open study": reverse("study", args=[large]),
        "the study of many votes": reverse("study", args=[voted]),
        "new study": reverse("new-study"),
        "the large study, live": reverse("study-live", args=[large]),
        "the study of many votes, live": reverse("study-live", args=[voted]),
        **{f"{title} of the large study": reverse(name, args=[large]) for title, name in OF_A_STUDY.items()},
        "annotators of the study of many votes": reverse("study-annotators", args=[voted]),
        "payment file of the study of many votes": f"{reverse('payment-file', args=[voted])}?rate=12",
        "API tokens": reverse("tokens"),
        "the study file of the large study": reverse("study-file", args=[large]),
        "planning the large study": f"{reverse('plan')}?study={large}",
        "report of the study of many votes": reverse("report", args=[voted]),
        "explorer": reverse("explorer", args=[voted]),
        "explorer, by margin, a word": f"{reverse('explorer', args=[voted])}?by=margin&words=7",
        "explorer, page 9": f"{reverse('explorer', args=[voted])}?page=9",
        "explorer, one comparison": reverse("explored-comparison", args=[voted, 7]),
    }
    for name in ("study", "annotator"):
        found[f"admin: {name} list"] = reverse(f"admin:annotation_{name}_changelist")
    for name in ("diffusionmodel", "prompt", "imageset", "generationjob"):
        found[f"admin: {name} list"] = reverse(f"admin:generation_{name}_changelist")
    found["admin: annotators of the study of many votes"] = f"{found['admin: annotator list']}?study={lab.voted.pk}"
    found["admin: the large study"] = reverse("admin:annotation_study_change", args=[lab.open.pk])
    person = Annotator.objects.filter(study=lab.voted).earliest("pk")
    found["admin: an annotator"] = reverse("admin:annotation_annotator_change", args=[person.pk])
    return found


def look_at_everything(lab: Laboratory, *, times: int) -> Iterator[Measured]:
    """Measure the pages and the commands, then the first report, which no page waits for, and its pages."""
    client = Client(headers={"host": HOST})
    client.force_login(User.objects.get_or_create(username="researcher", is_staff=True, is_superuser=True)[0])
    pages = addresses(lab)
    of_the_report = {name: pages.pop(name) for name in list(pages) if name.startswith(OF_THE_REPORT)}
    for name, address in pages.items():
        yield measure(name, partial(_get, client, address), times=times)
    status = partial(call_command, "study_status")
    yield measure("command: study_status", lambda: status(stdout=StringIO()), times=1)
    yield measure("command: study_status open", lambda: status("open", stdout=StringIO()), times=times)
    yield measure("the half-minute tick", lambda: maintain(timezone.now()), times=times)
    yield measure("the first report, in the worker", partial(_make_report, lab.voted), times=0)
    for name, address in of_the_report.items():
        yield measure(name, partial(_get, client, address), times=times)


def _make_report(study: Study) -> None:
    """Make a report as a worker does after a page requested it."""
    make_report(request_report(study).pk)


def _get(client: Client, address: str) -> None:
    response = client.get(address, secure=True)
    if response.status_code not in (200, 202):
        raise SystemExit(f"{address} answers {response.status_code}.")


def measure(name: str, look: Callable[[], object], *, times: int) -> Measured:
    """Call once and then `times` more, and count the queries of the last call."""
    seconds, worked, counts = [], [], []
    for _ in range(1 + times):
        began_at, worked_at = time.perf_counter(), time.process_time()
        with CaptureQueriesContext(connection) as asked:
            look()
        seconds.append(time.perf_counter() - began_at)
        worked.append(time.process_time() - worked_at)
        counts.append(len(asked))
    later, work = (1000 * statistics.median(times[1:] or times) for times in (seconds, worked))
    return Measured(name, counts[-1], 1000 * seconds[0], later, work)
