"""What a pilot says: pace, reliability, and the sample size from both ends of its interval."""

import json
from dataclasses import replace
from io import StringIO
from itertools import count

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotation.models import ReportFileJob, Study, Vote
from annotation.reports.pilot import result
from annotation.reports.pilot.result import person_of, possible_flips
from annotation.reports.pilot.words import answer, assumptions, plan_sentence
from annotation.reports.report_jobs import report_cache, report_jobs, watched_jobs
from annotation.reports.report_jobs.report_jobs import result_at_once
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.planning.question import Design, ask, refuse_impossible
from annotation.studies.planning.sample_size import recommended_size
from annotation.studies.tokens import create_token
from annotation.tasks import make_report, make_report_file
from tests.annotation.reports.voted_studies import Plan
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import make_study

pytestmark = pytest.mark.django_db
# 12 comparisons by 5 people, two votes of whom agree in 80 % of the pairs and more.
VOTES = [["A"] * 5, ["B"] * 5, ["A", "A", "A", "A", "B"]] * 4


@pytest.fixture(autouse=True)
def _few_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "SIMULATIONS", 20)


@pytest.fixture
def pilot() -> Study:
    main = make_study(
        state="draft", comparisons=50, slug="main", annotation={"overlap": 5, "comparisons_per_annotator": 25}
    )
    pilot = make_voted_study(Plan(VOTES, [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0)] * 4))
    Study.objects.filter(pk=pilot.pk).update(pilot_of=main)
    pilot.refresh_from_db()
    pilot.annotators.update(state="finished")
    for vote, seconds in zip(Vote.objects.order_by("assignment__annotator", "pk"), count(1)):
        Vote.objects.filter(pk=vote.pk).update(response_ms=1000 * (1 + seconds % 5))
    return pilot


def test_the_chance_of_a_person_follows_from_agreeing_pairs() -> None:
    # Two votes on a comparison, each right with p = 0.8, agree in 0.64 + 0.04; with 20 % ties in 0.04 + 0.64 * 0.68.
    assert person_of(0.68) == pytest.approx(0.8)
    assert person_of(0.04 + 0.64 * 0.68, tie_share=0.2) == pytest.approx(0.8)
    assert person_of(1.0) == 0.999
    assert [person_of(0.5), person_of(0.2, tie_share=1.0)] == [None, None]
    for agreement in (0.55, 0.94, 0.999):
        refuse_impossible(ask(Design(), agreement=agreement, baseline=0.52, flips=possible_flips(1.0, agreement)))


def test_a_pilot_plans_for_both_ends_of_its_interval(pilot: Study) -> None:
    found = result_at_once(pilot)
    assert (found.study, found.pilot_of) == ("weather", "main")
    assert (found.pace.votes, found.pace.voters, found.pace.seconds) == (60, 5, 3.0)
    assert found.pace.middle_half == (2.0, 4.0)
    assert found.reliability is not None
    seen = found.reliability.pairwise_agreement
    assert seen.value == pytest.approx((8 * 1 + 4 * 0.6) / 12)
    low, high = found.plans
    assert (low.pairwise_agreement, high.pairwise_agreement) == (seen.low, seen.high)
    assert low.comparisons is not None
    assert high.comparisons is not None
    assert low.comparisons > high.comparisons
    assert low.hours == pytest.approx(low.comparisons * 5 * 3 / 3600)
    assert answer(found) == plan_sentence(low)
    assert found.flips is None, "these sets have no images"
    metric, votes = assumptions(found)
    assert "fresh seeds change 3.0 % of the metric's winners is an assumption, too" in metric
    assert "fresh seeds" not in votes
    metric, votes = assumptions(replace(found, flips=0.1))
    assert "fresh seeds" not in metric
    assert "the metric's winners that fresh seeds would change" in votes
    assert answer(found).startswith(f"Plan {low.comparisons:,} comparisons, 5 votes each, {low.annotators} annotators")


def test_a_sealed_pilot_tells_its_pace_alone(pilot: Study) -> None:
    Study.objects.filter(pk=pilot.pk).update(state="paused", closed_at=None)
    pilot.refresh_from_db()
    found = result_at_once(pilot)
    assert found.pace.seconds == 3.0
    assert (found.reliability, found.flips, found.plans) == (None, None, ())
    assert answer(found) == "No sample size follows: the pilot is sealed until it is closed."


def test_people_who_agree_like_coins_give_no_size() -> None:
    main = make_study(state="draft", comparisons=10, slug="main")
    pilot = make_voted_study(Plan([["A", "B", "A"], ["B", "A", "B"], ["A"] * 3] * 4, [(2.0, 1.0)] * 12))
    Study.objects.filter(pk=pilot.pk).update(pilot_of=main)
    pilot.refresh_from_db()
    assert "agree no more often than two coins" in answer(result_at_once(pilot))


def test_the_command_prints_the_result(pilot: Study) -> None:
    out = StringIO()
    call_command("pilot", pilot.slug, "--format", "json", stdout=out)
    document = json.loads(out.getvalue())
    assert document["answer"].startswith("Plan ")
    assert document["result"]["pace"]["seconds"] == 3.0
    with pytest.raises(CommandError, match="agreement: a share above"):
        call_command("pilot", pilot.slug, "--agreement", "nan", stdout=StringIO())


def test_the_page_waits_for_the_report_and_then_for_the_plans(
    pilot: Study, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (report_jobs, report_cache, watched_jobs):
        monkeypatch.setattr(module, "enqueue", lambda _jobs: None)
    address = reverse("study-pilot", args=[pilot.slug])
    assert "The report of the pilot is waiting" in shown(admin_client, address, 202)
    make_report()
    assert "The sample size is waiting" in shown(admin_client, address, 202)
    make_report_file()
    monkeypatch.setattr(result, "recommended_size", None)  # from here on, no page simulates
    text = shown(admin_client, address)
    assert "Gwet&#x27;s AC1" in text
    monkeypatch.setattr(result, "recommended_size", recommended_size)
    assert f'<p class="lead">{answer(result_at_once(pilot))}</p>' in text
    assert "a share above 0.5" in admin_client.get(address, {"agreement": "1", "baseline": "0.6"}).content.decode()
    other = f"{address}?agreement=0.9&baseline=0.6"
    assert "The sample size is waiting" in shown(admin_client, other, 202), "other assumptions, other plans"
    make_report_file()
    assert shown(admin_client, other) != text
    token = create_token(account=User.objects.get(username="admin"), name="t", scopes=["read"], days=1)[1]
    of_api = admin_client.get(f"/api/v1/studies/{pilot.slug}/pilot", headers={"Authorization": f"Bearer {token}"})
    assert of_api.json()["sentences"][0] == answer(result_at_once(pilot))


def test_plans_are_made_again_after_an_amendment_of_the_study_or_a_failure(
    pilot: Study, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (report_jobs, report_cache, watched_jobs):
        monkeypatch.setattr(module, "enqueue", lambda _jobs: None)
    address = reverse("study-pilot", args=[pilot.slug])
    for make in (make_report, make_report_file):
        shown(admin_client, address, 202)
        make()
    first = shown(admin_client, address)
    main = pilot.pilot_of
    assert main
    plan = current_manifest(main)
    more = plan.model_copy(update={"annotation": plan.annotation.model_copy(update={"overlap": 3})})
    amend(study=main, manifest=more)
    assert "The sample size is waiting" in shown(admin_client, address, 202)
    job = ReportFileJob.objects.get()
    ReportFileJob.objects.update(state="failed", error="The disk is full.")
    assert "The sample size could not be made: The disk is full." in shown(admin_client, address, 500)
    assert admin_client.post(address).status_code == 302
    job.refresh_from_db()
    assert (job.state, job.error) == ("queued", "")
    make_report_file()
    again = shown(admin_client, address)
    assert "3 votes each" in again
    assert "5 votes each" in first


def shown(client: Client, address: str, status: int = 200) -> str:
    page = client.get(address)
    assert page.status_code == status
    return page.content.decode()
