"""Exclusions by rule, and the alarm if a rule excludes more than before, on the study's page and in the admin."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.lifecycle.quality_watch import ALARM_PROBABILITY, LATELY, alarms, rule_counts
from annotation.studies.lifecycle.transitions import close
from annotation.studies.sealing import is_sealed
from annotation.voting.availability import Closure, closure
from jobs.refusals import Refused
from scoring.statistics.votes.screening import rise_probability
from tests.factories import make_researcher, make_study

pytestmark = pytest.mark.django_db
QUALITY = {"ladder": [0.75, 0.5], "instructed": 1, "repeat_distance": 1, "checks_failed": 0.01, "too_fast": 0.01}


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=6, quality=QUALITY)


def came(study: Study, broken: list[str]) -> None:
    """Annotators who voted once, in this order, with the rules that each of them broke."""
    comparison = study.comparisons.earliest("pk")
    for rules in broken:
        annotator = Annotator.objects.create(study=study, kind="open", broken_rules=rules)
        assignment = Assignment.objects.create(
            comparison=comparison, annotator=annotator, state="voted", left_model="a", leased_at=timezone.now()
        )
        excluded = {"excluded_at": timezone.now(), "exclusion_reason": rules} if rules else {}
        Vote.objects.create(assignment=assignment, choice="left", **excluded)


def test_annotators_and_votes_are_counted_by_rule(study: Study) -> None:
    came(study, ["", "checks_failed", "checks_failed, too_fast", ""])
    Annotator.objects.create(study=study, kind="open")  # has not voted, so does not count
    failed, fast = rule_counts(study)
    assert (failed.rule, failed.probability, failed.threshold) == ("checks_failed", 0.01, 2)
    assert (failed.annotators, failed.votes, failed.lately, failed.before) == (2, 2, (2, 4), (0, 0))
    assert (fast.annotators, fast.votes) == (1, 1)
    assert alarms(study) == (), "nobody came before, so nothing has risen"


def test_a_study_without_rules_costs_no_query(django_assert_num_queries: pytest.FixtureRequest) -> None:
    study = make_study(comparisons=2)
    rule_counts(study)  # the manifest is read once
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert rule_counts(study) == ()


@pytest.mark.parametrize("rejected", [5, 6, 7])
def test_the_alarm_rings_where_the_chance_is_small_enough(study: Study, rejected: int) -> None:
    came(study, [""] * 40 + ["checks_failed"] * rejected + [""] * (LATELY - rejected))
    expected = rise_probability(before=(0, 40), lately=(rejected, LATELY)) <= ALARM_PROBABILITY
    assert [one.rule for one in alarms(study)] == (["checks_failed"] if expected else [])
    assert expected == (rejected >= 6)


def test_a_rate_that_was_always_high_is_no_alarm(study: Study) -> None:
    came(study, (["checks_failed", ""] * 30))
    assert alarms(study) == ()


def test_the_alarm_stands_on_the_page_and_in_the_admin_s_list_until_the_study_closes(
    study: Study, client: Client, admin_client: Client
) -> None:
    came(study, [""] * 40 + ["checks_failed"] * 10)
    researcher = make_researcher()
    client.force_login(researcher)
    page = client.get(study.get_absolute_url()).content.decode()
    sentence = "excludes 10 of the latest 20 annotators, after 0 of the 30 before"
    assert sentence in page
    assert "checks failed" in page
    assert page.count("<td") >= 2 * 5
    assert "checks failed" in admin_client.get("/admin/annotation/study/").content.decode()
    close(study=study)
    assert sentence not in client.get(study.get_absolute_url()).content.decode()
    assert "checks failed" not in admin_client.get("/admin/annotation/study/").content.decode()


def test_study_status_lists_exclusions_by_rule_and_the_alarm(study: Study) -> None:
    came(study, [""] * 40 + ["checks_failed"] * 9 + ["checks_failed, too_fast"])
    out = StringIO()
    call_command("study_status", "study", stdout=out)
    said = out.getvalue()
    assert "study: excluded, checks failed: 10 annotators, 10 votes (chance 0.01 if attentive)" in said
    assert "study: excluded, too fast: 1 annotator, 1 vote (chance" in said
    assert "study: “checks failed” excludes 10 of the latest 20 annotators" in said
    assert "(p < 0.0001)" in said
    out = StringIO()
    call_command("study_status", "study", "--format", "json", stdout=out)
    assert json.loads(out.getvalue())["exclusions"] == [
        {"rule": "checks_failed", "annotator_count": 10, "vote_count": 10},
        {"rule": "too_fast", "annotator_count": 1, "vote_count": 1},
    ]


def test_closing_judges_once_more_outside_the_request_and_unseals_afterwards(study: Study) -> None:
    came(study, ["checks_failed"])
    close(study=study)
    manifest = current_manifest(study)
    assert (study.state, is_sealed(study, manifest=manifest)) == (Study.State.CLOSING, True)
    assert study.annotators.get().broken_rules == "checks_failed"
    assert closure(study=study, rules=manifest.voting_rules(), now=timezone.now()) == Closure.CLOSED
    with pytest.raises(Refused, match="closes by itself once every annotator is judged"):
        close(study=study)
    ended_at = study.closed_at
    for _ in range(2):
        maintain(timezone.now())
    study.refresh_from_db()
    assert (study.state, is_sealed(study, manifest=manifest)) == (Study.State.CLOSED, False)
    assert study.closed_at == ended_at
    assert list(study.events.values_list("verb", flat=True))[-2:] == ["closed", "judged"]
    annotator = study.annotators.get()
    assert annotator.broken_rules == "", "the only vote breaks nothing, so the mark that says so goes"
    assert not Vote.objects.exclude(excluded_at=None).exists()
