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


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of a page or command. `first_ms`: of the first call in this process; `median_ms`: of later calls."""

    name: str
    query_count: int
    first_ms: float
    median_ms: float

    def __str__(self) -> str:
        over = "  over the goal" if max(self.first_ms, self.median_ms) > GOAL_MS else ""
        return f"  {self.name:52} {self.query_count:4} queries {self.first_ms:8.0f} {self.median_ms:8.0f} ms{over}"


def addresses(lab: Laboratory) -> dict[str, str]:
    """Return the URLs of the staff's pages, by a readable name."""
    large, voted, small = lab.open.slug, lab.voted.slug, lab.small.slug
    found = {
        "studies": reverse("studies"),
        "a small study": reverse("study", args=[small]),
        "the large open study": reverse("study", args=[large]),
        "the study of many votes": reverse("study", args=[voted]),
        "reported images of the large study": reverse("reported", args=[large]),
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
    """Measure the first report, which no page waits for, then the pages and the commands."""
    client = Client(headers={"host": HOST})
    client.force_login(User.objects.get_or_create(username="researcher", is_staff=True, is_superuser=True)[0])
    yield measure("the first report, in the worker", partial(_make_report, lab.voted), times=0)
    for name, address in addresses(lab).items():
        yield measure(name, partial(_get, client, address), times=times)
    status = partial(call_command, "study_status")
    yield measure("command: study_status", lambda: status(stdout=StringIO()), times=1)
    yield measure("command: study_status open", lambda: status("open", stdout=StringIO()), times=times)
    yield measure("the half-minute tick", lambda: maintain(timezone.now()), times=times)


def _make_report(study: Study) -> None:
    """Make a report as a worker does after a page requested it."""
    make_report(request_report(study).pk)


def _get(client: Client, address: str) -> None:
    response = client.get(address, secure=True)
    if response.status_code not in (200, 202):
        raise SystemExit(f"{address} answers {response.status_code}.")


def measure(name: str, look: Callable[[], object], *, times: int) -> Measured:
    """Call once and then `times` more, and count the queries of the last call."""
    seconds, counts = [], []
    for _ in range(1 + times):
        began_at = time.perf_counter()
        with CaptureQueriesContext(connection) as asked:
            look()
        seconds.append(time.perf_counter() - began_at)
        counts.append(len(asked))
    later = seconds[1:] or seconds
    return Measured(name, counts[-1], 1000 * seconds[0], 1000 * statistics.median(later))
