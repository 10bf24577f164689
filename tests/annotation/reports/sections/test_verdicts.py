"""Verdicts, the one confirmatory test, clusters and the winners' majorities, as a report prints them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import from_json
from annotation.reports.printing.blocks import Row
from annotation.reports.sections.contents import sections
from tests.annotation.reports.voted_studies import Plan, crossed, make_study, report_of

pytestmark = pytest.mark.django_db

EARLIER = Path(__file__).parents[3] / "fixtures" / "0.2.0" / "report.json"


def rows_of(report: AgreementReport, key: str) -> dict[str, Row]:
    (section,) = [one for one in sections(report) if one.key == key]
    return {row.label: row for row in section.rows}


def test_the_difference_stands_under_each_endpoint_with_its_own_verdict() -> None:
    """The metric ties on 40 of 60 A: strict it does not beat always naming A, half credit does, dropped does."""
    votes = [["A"]] * 60 + [["B"]] * 40
    scores = [(2.0, 1.0)] * 20 + [(1.0, 1.0)] * 40 + [(1.0, 2.0)] * 40
    rows = rows_of(report_of(make_study(Plan(votes, scores))), "agreement")
    strict, half, dropped = (
        rows[f"Metric minus constant choice, {ties}"] for ties in ("strict", "half credit", "ties dropped")
    )
    assert strict.remark == "undecided: the metric is not shown to beat A (Alpha)"
    assert (strict.value, half.value, dropped.value) == ("0.0 points", "20.0 points", "33.3 points")
    assert half.remark.startswith("shown: the metric beats A (Alpha); exact sign-flip of credits (assumes symmetry) p")
    assert half.remark.endswith("p = 0.005, descriptive")
    assert dropped.remark.startswith("shown: the metric beats B (Beta); exact McNemar p < 0.001")
    assert all(row.interval for row in (strict, half, dropped))


def test_one_test_is_confirmatory_and_every_other_p_value_is_descriptive() -> None:
    report = report_of(make_study(crossed([[30, 5], [4, 21]])))
    tests = [row for section in sections(report) for row in section.rows if row.value.startswith("p ")]
    assert len(tests) > 5
    confirmatory = [row for row in tests if row.remark == "confirmatory"]
    assert [row.label for row in confirmatory] == ["Metric against that constant choice"]
    assert all(row.remark.startswith("descriptive") for row in tests if row not in confirmatory)


@pytest.mark.parametrize(("named", "models", "share"), [("", ("A",), 0.6), ("B", ("B",), 0.4)])
def test_the_manifest_may_name_the_constant_choice(named: str, models: tuple[str, ...], share: float) -> None:
    analysis = {"resamples": 200, "constant_choice": named}
    report = report_of(make_study(replace(crossed([[30, 0], [10, 10]]), manifest={"analysis": analysis})))
    assert report.results is not None
    choice = report.results.agreement.confirmatory
    assert choice is not None
    assert (choice.models, choice.agreement.value) == (models, share)
    assert report.results.agreement.baseline.models == models


def test_winners_without_a_majority_are_counted_and_never_called_one() -> None:
    """Two of three winners have at most half of the votes; by plurality one of them is a tie."""
    votes = [["A", "A", "B", "tie"], ["A", "tie", "tie"], ["B", "B", "A"]]
    report = report_of(make_study(Plan(votes, [(2.0, 1.0)] * 3)))
    assert report.results is not None
    winners = report.results.agreement.winners
    assert winners is not None
    assert (winners.named, winners.with_majority, winners.plurality_differs) == (3, 1, 1)
    row = rows_of(report, "agreement")["Winners with more than half of all votes of their comparison"]
    assert (row.value, row.n) == ("1", 3)
    assert "majority" not in report.claim


def clustered(**changes: Any) -> AgreementReport:
    plan = crossed([[25, 3], [2, 30]])
    return report_of(make_study(replace(plan, clusters=[f"c{number // 5}" for number in range(60)], **changes)))


def test_a_report_on_clusters_says_what_knows_them() -> None:
    report = clustered()
    (section,) = [one for one in sections(report) if one.key == "agreement"]
    assert any("Comparisons share clusters: 12, with up to 5 comparisons each" in text for text in section.paragraphs)
    assert "rough below 20" in section.rows[0].remark
    assert "12 clusters, design effect" in section.rows[0].method
    scores = rows_of(report, "scores")
    assert "whole clusters flipped" in scores["Paired scores differ"].method
    assert "ignores the pairing and the clusters" in scores["Distributions differ"].method
    margins = rows_of(report, "calibration")
    assert "t(11)" in margins["Log-odds of a vote for A per point of margin"].method


def test_a_report_of_version_0_2_prints_its_verdict() -> None:
    rows = rows_of(from_json(EARLIER.read_text()), "agreement")
    assert rows["Always naming A (Alpha)"].remark == "the metric is not shown to beat it"
    assert rows["Metric against that constant choice"].value == "p = 0.125"
    assert not [label for label in rows if label.startswith("Metric minus constant choice")]


def test_an_interval_that_the_verdict_contradicts_is_explained_in_the_row_and_in_the_claim() -> None:
    """The constant choice alone is right in four of twelve: exact McNemar p = .125, and the interval excludes zero."""
    votes, scores = [["A"]] * 12, [(1.0, 2.0)] * 4 + [(2.0, 1.0)] * 8
    report = report_of(make_study(Plan(votes, scores)))
    rows = rows_of(report, "agreement")
    strict = rows["Metric minus constant choice, strict"]
    assert strict.interval.endswith("−1.0]")
    assert (
        "p = 0.125. Undecided is no proof of equality. The interval is approximate; the test is exact and decides."
        in report.claim
    )
    reason = "; the verdict is the test's, although the interval, which is approximate, says otherwise"
    assert strict.remark == "undecided: the metric is not shown to beat A (Alpha)" + reason
