"""The report of a study that stops when its claim is decided."""

import re
from dataclasses import replace

import pytest
from django.utils import timezone

from annotation.models import Annotator, Study, StudyEvent, Vote
from annotation.reports.data.gathering import gather
from annotation.reports.findings.study.sequential import Sequential
from annotation.reports.formats.plain_text import to_text
from annotation.reports.printing.evidence import change
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from tests.annotation.reports.voted_studies import Plan, make_study, report_of, results_of

pytestmark = pytest.mark.django_db

DESIGN = {"overlap": 3, "stop_when_decided": "metric", "ties": True}
# A and B win in turn, and the metric is always right; twelve comparisons more have no vote yet.
PLAN = Plan(
    votes=[["AAA", "BBB"][number % 2] for number in range(48)] + [""] * 12,
    scores=[[(2.0, 1.0), (1.0, 2.0)][number % 2] for number in range(60)],
    manifest={"source": "images", "annotation": DESIGN, "analysis": {"resamples": 100}},
)


def found_in(plan: Plan) -> Sequential:
    found = results_of(make_study(plan)).sequential
    assert found is not None
    return found


def complete(plan: Plan) -> Plan:
    """The plan with its votes on the comparisons that were drawn first."""
    study = make_study(replace(plan, slug="drawn"))
    drawn = current_manifest(study).turns()
    assert drawn is not None
    votes = ["" if drawn[number] >= 48 else ["AAA", "BBB"][number % 2] for number in range(60)]
    return replace(plan, votes=votes)


def test_only_complete_clusters_enter_with_all_before_them() -> None:
    found = found_in(complete(PLAN))
    assert (found.clusters, found.planned_clusters, found.comparisons) == (48, 60, 48)
    assert found.decision.verdict == "shown"
    assert found.rivals == ("A", "B")
    assert found.agreement.value == 1.0
    assert found.agreement.n == 48
    assert "confidence sequence" in found.agreement.method
    scattered = found_in(replace(PLAN, slug="scattered"))
    assert scattered.clusters < 48
    assert scattered.comparisons == scattered.clusters


@pytest.mark.parametrize("detail", [{"decided_after_clusters": 48}, {"decided_after_clusters": 48, "votes_saved": 36}])
def test_what_was_decided_stays_decided_and_saves_votes(detail: dict[str, int]) -> None:
    """Studies that ended before the number was stored count the votes that are there."""
    study = make_study(complete(PLAN))
    StudyEvent.objects.create(study=study, verb="closed", detail=detail)
    whole = results_of(study).sequential
    assert whole is not None
    assert whole.saved_votes == 12 * 3
    withdrawn = Annotator.objects.filter(study=study).first()
    assert withdrawn is not None
    deleted = withdrawn.assignments.count()
    withdrawn.assignments.all().delete()
    after = results_of(study).sequential
    assert after is not None
    assert (after.clusters, after.decision.verdict) == (48, "shown")
    assert after.saved_votes == 12 * 3 + (0 if "votes_saved" in detail else deleted)


def test_a_decision_that_no_longer_follows_is_named_beside_the_new_one() -> None:
    """Excluded votes and other scores may turn the evidence after the end, but not unseen."""
    study = make_study(complete(PLAN))
    StudyEvent.objects.create(study=study, verb="closed", detail={"decided_after_clusters": 48, "verdict": "shown"})
    assert "the voting ended" not in to_text(report_of(study)).lower()
    for comparison in study.comparisons.all():
        comparison.image_set_a.scores.update(value=1.0)  # the metric names B throughout
        comparison.image_set_b.scores.update(value=2.0)
    report = report_of(study)
    assert report.results is not None
    found = report.results.sequential
    assert found is not None
    assert (found.ended_after, found.ended_with, found.decision.verdict) == (48, "shown", "undecided")
    said = (
        r"The voting ended after 48 clusters because it was shown that SCS agrees more often than always naming "
        r"A and always naming B; the votes and scores that count now do not show it\."
    )
    assert re.search(said, report.claim)
    text = " ".join(to_text(report).split())
    assert len(re.findall(said.replace(".*", "[^)]*"), text)) == 2  # in the verdict and beside the evidence
    # An event of before the verdict was stored has only the number of clusters.
    assert "because the claim was decided; the votes" in change(replace(found, ended_with=""), report.study)


def test_a_study_of_another_design_has_no_such_section() -> None:
    study = make_study(replace(PLAN, manifest={"source": "images", "annotation": {"overlap": 3, "ties": True}}))
    report = report_of(study)
    assert report.results is not None
    assert report.results.sequential is None
    assert "Evidence as the votes came in" not in to_text(report)


def test_the_section_says_what_is_shown_and_for_whom() -> None:
    text = to_text(report_of(make_study(complete(PLAN))))
    assert "Evidence as the votes came in" in text
    assert "reaches 40" in text
    assert "Evidence that the metric agrees more often than always naming A and always naming B" in text
    in_a_line = " ".join(text.split())
    assert "Given out first comparisons whose cluster comes first in the drawn order" in in_a_line
    assert "the evidence for the primary endpoint against always naming each of the two models" in in_a_line
    assert not re.search(r"^ +confirmatory$", text, re.MULTILINE)
    claim = report_of(Study.objects.get(slug="weather")).claim
    agreement = (
        r"on 48 of 48 comparisons \(60 planned\)\. 100\.0 %, 95 % interval \d\d\.\d to 100\.0 % \(confidence sequence"
    )
    assert re.search(agreement, claim)
    assert "agrees more often than always naming A and always naming B, shown after " in claim
    models = replace(
        PLAN, slug="models", manifest={**PLAN.manifest, "annotation": DESIGN | {"stop_when_decided": "models"}}
    )
    text = to_text(report_of(make_study(models)))
    assert "neither that annotators prefer Alpha to Beta nor that annotators prefer Beta to Alpha is shown" in " ".join(
        text.split()
    )


def test_the_report_of_another_metric_has_no_evidence_and_says_whose_ended_the_voting() -> None:
    study = make_study(complete(PLAN))
    for comparison in study.comparisons.all():
        comparison.image_set_a.scores.create(metric="lpips", value=2.0, source="imported")
        comparison.image_set_b.scores.create(metric="lpips", value=1.0, source="imported")
    manifest = current_manifest(study)
    report = build_report(gather(study, manifest=manifest, metric="lpips"))
    assert report.results is not None
    assert report.results.sequential is None
    assert "ends the voting, so tests and intervals of this metric are descriptive only" in report.claim
    assert "one confirmatory test is the evidence for SCS" in " ".join(to_text(report).split())
    assert "ends the voting" not in report_of(study).claim


def exclude(study: Study, position: int, count: int) -> None:
    votes = Vote.objects.filter(assignment__comparison__study=study, assignment__comparison__position=position)
    for vote in votes.order_by("pk")[:count]:
        vote.excluded_at, vote.exclusion_reason = timezone.now(), "failed a check"
        vote.save()


def test_an_excluded_vote_keeps_its_comparison_complete_and_is_no_evidence() -> None:
    plan = complete(PLAN)
    before, study = found_in(replace(plan, slug="before")), make_study(plan)
    order = current_manifest(study).turns()
    assert order is not None
    first, second = order.index(0), order.index(1)
    exclude(study, first, 1)
    one = results_of(study).sequential
    assert one == before  # the two votes that are left name the same winner
    exclude(study, second, 3)
    all_of_it = results_of(study).sequential
    assert all_of_it is not None
    assert (all_of_it.clusters, all_of_it.comparisons) == (48, 47)
    assert all_of_it.agreement.n == 47
    assert all_of_it.decision.verdict == "shown"


def test_a_withdrawal_before_the_decision_leaves_clusters_incomplete_and_nothing_decided() -> None:
    study = make_study(complete(PLAN))
    withdrawn = Annotator.objects.filter(study=study).first()
    assert withdrawn is not None
    order = current_manifest(study).turns()
    assert order is not None
    withdrawn.assignments.exclude(comparison__position__in=[order.index(0), order.index(1)]).delete()
    found = results_of(study).sequential
    assert found is not None
    assert (found.clusters, found.comparisons, found.saved_votes) == (2, 2, 0)
    assert found.decision.verdict != "shown"
