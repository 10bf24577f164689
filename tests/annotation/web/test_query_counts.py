"""The number of queries of a page, a list or a command does not grow with the number of studies."""

from collections.abc import Callable
from copy import copy
from functools import partial
from io import StringIO
from itertools import count

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.admin.annotators import AnnotatorAdmin
from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.lifecycle.progress import progress
from annotation.voting.slots import recount
from generation.models import Prompt
from tests.annotation.reports.voted_studies import crossed, embed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import make_study

pytestmark = pytest.mark.django_db
QUALITY = {"too_fast": 0.01}


@pytest.fixture
def add_studies() -> Callable[[int], None]:
    """Add open studies with quality rules, each with more annotators and votes than the one before."""

    def add(count: int) -> None:
        for _ in range(count):
            number = Study.objects.count()
            study = make_study(source="external", comparisons=2 + number % 3, slug=f"study-{number}", quality=QUALITY)
            Study.objects.filter(pk=study.pk).update(state="open", closed_at=None)
            for _person in range(1 + number):
                voted(study)

    return add


def voted(study: Study) -> None:
    annotator = Annotator.objects.create(study=study, kind="personal", broken_rules="too_fast")
    comparison = study.comparisons.earliest("position")
    assignment = Assignment.objects.create(
        comparison=comparison, annotator=annotator, state="voted", left_model="a", leased_at=study.created_at
    )
    assignment.votes.create(choice="left", excluded_at=study.created_at, exclusion_reason="too fast")
    comparison.overlap = comparison.slot_count = comparison.vote_count = comparison.vote_count + 1
    comparison.save()
    recount([comparison.pk])


REQUESTS = {
    "studies": lambda client: client.get(reverse("studies")),
    "admin, studies": lambda client: client.get(reverse("admin:annotation_study_changelist")),
    "admin, annotators": lambda client: client.get(reverse("admin:annotation_annotator_changelist")),
    "admin, image sets": lambda client: client.get(reverse("admin:generation_imageset_changelist")),
    "study_status": lambda _client: call_command("study_status", stdout=StringIO()),
    "study_status as JSON": lambda _client: call_command("study_status", format="json", stdout=StringIO()),
}


@pytest.mark.parametrize("request_page", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_list_of_six_studies_runs_as_many_queries_as_one_of_two(
    request_page: Callable[[Client], object], add_studies: Callable[[int], None], admin_client: Client
) -> None:
    counts = []
    for added in (2, 4):
        add_studies(added)
        request_page(admin_client)  # reads the manifests
        with CaptureQueriesContext(connection) as queries:
            request_page(admin_client)
        counts.append(len(queries))
    assert counts[0] == counts[1] < 25


@pytest.mark.parametrize(("name", "args"), [("report", ()), ("explorer", ()), ("explored-comparison", (1,))])
@pytest.mark.parametrize("comparisons", [2, 30])
def test_a_page_of_results_runs_at_most_twelve_queries(
    name: str, args: tuple[int, ...], comparisons: int, researcher: Client
) -> None:
    study = make_voted_study(crossed([[comparisons, 0], [0, 0]]))
    for comparison in study.comparisons.all():
        embed(comparison, spread_a=0.1, spread_b=0.2)
    address = reverse(name, args=[study.slug, *args])
    assert researcher.get(address).status_code == 200  # makes the report, and reads the manifest
    with CaptureQueriesContext(connection) as queries:
        researcher.get(address)
    assert len(queries) <= 12


def test_progress_reads_only_the_sets_of_its_study(add_studies: Callable[[int], None]) -> None:
    """It joins from the study's comparisons: with IN ... OR ... IN both databases read the rows of every study."""
    add_studies(1)
    study = Study.objects.get()
    for state in ("open", "generating"):
        Study.objects.update(state=state)
        study.refresh_from_db()
        with CaptureQueriesContext(connection) as queries:
            progress(study)
        assert not [query["sql"] for query in queries if " OR " in query["sql"].rpartition("WHERE")[2]]
        assert len(queries) < 14


def test_the_admin_counts_the_votes_of_one_page_of_annotators(
    add_studies: Callable[[int], None], admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_studies(2)
    for name in ("list_per_page", "list_max_show_all"):
        monkeypatch.setattr(AnnotatorAdmin, name, 2)
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(reverse("admin:annotation_annotator_changelist"))
    counting = [query["sql"] for query in queries if "annotation_assignment" in query["sql"]]
    assert len(counting) == 1
    assert "LIMIT 2" in counting[0]
    assert page.content.decode().count('<td class="field-votes">1</td>') == 2


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_tick_costs_the_same_however_many_comparisons_a_study_has(early_stopping: bool) -> None:
    study = make_study(comparisons=2, annotation={"early_stopping": early_stopping})
    Comparison.objects.filter(position=0).update(slot_count=F("overlap"), vote_count=F("overlap"))
    costs = []
    for added in (0, 200):
        add_comparisons(study, added)
        maintain(timezone.now())  # parses the manifest
        costs.append(database_steps(partial(maintain, timezone.now())))
    assert costs[0] == costs[1]


def add_comparisons(study: Study, count: int) -> None:
    """Add copies of the study's comparisons."""
    copied = list(study.comparisons.order_by("position"))
    for number in range(count):
        comparison = copy(copied[number % len(copied)])
        comparison.prompt = Prompt.objects.create(text=f"one more prompt, {number}")
        comparison.pk, comparison.position = None, len(copied) + number
        comparison.save()


def database_steps(work: Callable[[], object]) -> int:
    """Return how many steps SQLite's virtual machine made: the cost of queries, without a clock."""
    steps = count()
    connection.connection.set_progress_handler(lambda: next(steps) and 0, 1)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 1)
    return next(steps)
