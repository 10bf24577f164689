"""Studies whose numbers are undefined here and there: each report says what, and why, and invents nothing."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from annotation.reports.formats.document import to_json
from annotation.reports.report_jobs.downloads import FORMATS, render
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.reports.sections.contents import sections
from tests.annotation.reports.printed_numbers import WORDS, strange
from tests.annotation.reports.voted_studies import Plan, make_study, report_of

pytestmark = pytest.mark.django_db

TIES = {"annotation": {"ties": True}}


def written(plan: Plan) -> str:
    """The report in words, on one line."""
    return " ".join(render(report_of(make_study(plan)), "txt").split())


def document_of(plan: Plan) -> dict[str, Any]:
    """The JSON document, after every format, figures included, was made of the same report and says no other number."""
    report = report_of(make_study(plan))
    document: dict[str, Any] = json.loads(to_json(report))
    for report_format in FORMATS:
        text = render(report, report_format)
        if report_format in WORDS:
            assert strange(text, report_format, document) == []
        assert report.study.name in text
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE), report_format
        if report_format == "html":
            shown = re.findall(r'<svg role="(?:img|group)"', text)
            assert len(shown) == sum(len(section.figures) for section in sections(report))
    return document


def undefined(estimate: dict[str, Any]) -> str:
    """The reason of an undefined estimate or test."""
    assert estimate.get("value", estimate.get("p_value")) is None
    assert estimate["reason"]
    reason: str = estimate["reason"]
    return reason


def test_unanimous_votes_for_one_model() -> None:
    results = document_of(Plan([["A"] * 3] * 12, [(2.0, 1.0)] * 9 + [(1.0, 2.0)] * 3))["results"]
    assert results["agreement"]["headline"]["value"] == 0.75
    assert results["baseline"]["agreement"]["value"] == 1.0
    assert not results["baseline"]["is_beaten"]
    assert "people always name one model" in undefined(results["chance_corrected"]["matthews"])
    assert "people always name one model" in undefined(results["chance_corrected"]["balanced_accuracy"])
    assert results["chance_corrected"]["kappa"]["value"] == 0.0  # expected agreement is .75, not 1: kappa exists
    assert undefined(results["reliability"]["alpha"])
    assert results["reliability"]["brennan_prediger"]["value"] == 1.0
    assert results["reliability"]["ac1"]["value"] == 1.0


def test_one_model_wins_everything_by_both() -> None:
    results = document_of(Plan([["B"] * 3] * 10, [(1.0, 2.0)] * 10))["results"]
    assert results["agreement"]["headline"]["value"] == 1.0
    assert results["agreement"]["headline"]["low"] == pytest.approx(0.7225, abs=1e-4)  # Wilson, 10 of 10
    assert "all resamples equal" in results["agreement"]["strict"]["bootstrap"]["reason"]
    assert results["baseline"]["models"] == ["B"]
    assert undefined(results["baseline"]["mcnemar"]) == "they never differ"
    assert undefined(results["chance_corrected"]["kappa"])
    assert results["scores"]["model_a"]["standard_deviation"] == 0.0


def test_a_single_annotator_has_no_reliability() -> None:
    document = document_of(Plan([["A"], ["B"], ["A"], ["B"]], [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 1.0)]))
    results = document["results"]
    assert results["agreement"]["headline"]["value"] == 0.75
    for name in ("pairwise_agreement", "pooled_agreement", "alpha", "ac1", "brennan_prediger", "fleiss_kappa"):
        assert undefined(results["reliability"][name])
    assert undefined(results["leave_one_out"]["by_comparison"]["people"]) == "no comparison has two votes"
    assert (
        "How one more annotator compares with the metric is undefined: no comparison has two votes."
        in document["claim"]
    )
    assert "4 votes by 1 annotator, none excluded" in document["claim"]


def test_every_vote_a_tie() -> None:
    results = document_of(Plan([["tie"] * 3] * 5, [(2.0, 1.0)] * 5, manifest=TIES))["results"]
    assert results["agreement"]["strict"]["wilson"]["value"] == 0.0
    assert results["agreement"]["half"]["bootstrap"]["value"] == 0.5
    assert undefined(results["agreement"]["dropped"]["wilson"]) == "no comparison that both decide"
    assert results["baseline"]["models"] == ["A", "B"]
    assert undefined(results["fisher_exact"])
    assert undefined(results["reliability"]["alpha_without_ties"])
    assert results["bias"]["position"] is None
    assert results["bias"]["reason"] == "every vote is a tie, or its sides were not recorded"


def test_no_votes_at_all() -> None:
    document = document_of(Plan([[""], [""]], [(2.0, 1.0), (1.0, 2.0)]))
    assert document["claim"].startswith("Agreement of SCS with people is undefined: no comparison")
    assert " No votes. A is Alpha, B is Beta." in document["claim"]
    assert document["counts"]["analysed_comparisons"] == 0
    assert undefined(document["results"]["agreement"]["headline"])
    assert [row["missing"] for row in document["results"]["comparisons"]] == ["votes", "votes"]
    assert document["results"]["scores"]["model_a"]["n"] == 2


@pytest.mark.parametrize("state", ["closed", "open"])
def test_an_external_study_without_scores_names_no_metric(state: str) -> None:
    plan = Plan([["A", "A"], ["B", "A"]], [(None, None), (None, None)], state=state)
    study = make_study(plan)
    report = report_of(study)
    assert report.study.metric == ""
    for report_format in ("html", "txt"):
        text = " ".join(render(report, report_format).split())
        assert "clip:" not in text, report_format
        assert ("No metric was scored, so its agreement with people is undefined" in text) == (state == "closed")
        assert ("No metric has scores in this study." in text) == (state == "closed")
        assert not re.search(r"What makes a vote|Neither model leads|Cohen|Semantic", text), report_format
    assert request_report(study).metric == ""


def test_no_scores_at_all() -> None:
    document = document_of(Plan([["A", "A"], ["B", "A"]], [(None, None), (None, 1.0)]))
    assert undefined(document["results"]["agreement"]["headline"]) == "no comparison has both votes and two scores"
    assert document["results"]["leave_one_out"]["by_comparison"]["people"]["reason"] == (
        "no comparison has both votes and two scores"
    )
    said = "no comparison has both votes and two scores. 4 votes by 2 annotators, none excluded."
    assert said in document["claim"]
    assert document["results"]["scores"]["model_a"]["reason"] == "no comparison with both scores"
    assert document["results"]["reliability"]["pairwise_agreement"]["value"] == 0.5  # votes are there all the same
    assert [row["missing"] for row in document["results"]["comparisons"]] == ["scores", "scores"]


def test_no_comparisons() -> None:
    document = document_of(Plan([], []))
    assert undefined(document["results"]["agreement"]["headline"])
    assert document["quality"]["most_votes_per_comparison"] is None


def test_one_comparison() -> None:
    results = document_of(Plan([["A", "A", "B"]], [(2.0, 1.0)]))["results"]
    assert results["agreement"]["headline"]["value"] == 1.0
    assert results["agreement"]["headline"]["n"] == 1
    assert results["scores"]["model_a"]["standard_deviation"] is None
    assert results["scores"]["model_a"]["reason"] == "one score has no standard deviation"


def test_missing_scores_leave_the_comparison_out_and_say_so() -> None:
    document = document_of(Plan([["A"], ["B"], ["A"]], [(2.0, 1.0), (None, 1.0), (1.0, 1.0)]))
    assert document["results"]["agreement"]["headline"]["n"] == 2
    assert "of 2 comparisons (3 planned)" in document["claim"]
    assert document["results"]["agreement"]["bounds"] == pytest.approx({"worst": 1 / 3, "best": 2 / 3})
    rows = document["results"]["comparisons"]
    assert [row["missing"] for row in rows] == ["", "scores", ""]
    assert [row["metric_winner"] for row in rows] == ["A", None, "tie"]
    assert [row["agrees"] for row in rows] == [True, None, False]


def test_unknown_sides_leave_the_bias_undefined() -> None:
    document = document_of(Plan([["A", "B"], ["B", "A"]], [(2.0, 1.0)] * 2, are_sides_known=False))
    assert document["results"]["bias"]["reason"] == "every vote is a tie, or its sides were not recorded"
    assert undefined(document["results"]["bias"]["side_coding_alpha"])
    assert undefined(document["quality"]["left_share"])
    assert all(row["left_share"]["value"] is None for row in document["quality"]["annotators"])


def test_annotators_who_hate_each_other() -> None:
    results = document_of(Plan([["A", "B", "A", "B"]] * 6, [(2.0, 1.0)] * 6))["results"]
    assert results["agreement"]["headline"]["value"] == 0.0  # every majority is a tie, the metric decides
    assert results["reliability"]["alpha"]["value"] < 0
    assert results["leave_one_out"]["by_comparison"]["people"]["value"] == 0.0


def test_three_annotators_who_hate_each_other() -> None:
    """Nobody ever agrees with anybody: one for A, one for B, one for a tie."""
    ways = (["A", "B", "tie"], ["B", "tie", "A"], ["tie", "A", "B"])
    results = document_of(Plan([ways[row % 3] for row in range(9)], [(2.0, 1.0)] * 9, manifest=TIES))["results"]
    assert results["agreement"]["headline"]["value"] == 0.0
    assert results["reliability"]["pairwise_agreement"]["value"] == 0.0
    assert results["reliability"]["alpha"]["value"] == pytest.approx(1 - 26 / 18)  # nothing observed agrees
    assert results["reliability"]["brennan_prediger"]["value"] == pytest.approx(-0.5)
    people = results["leave_one_out"]["by_comparison"]["people"]
    assert people["value"] == pytest.approx((0 + 0 + 1) / 3)  # only the tie between A and B is what the others say
    assert results["fragility"]["lead"]["leader"] is None


WEIRD = {
    "unanimous": Plan([["A"] * 3] * 6, [(2.0, 1.0)] * 4 + [(1.0, 2.0)] * 2),
    "one annotator": Plan([["A"], ["B"], ["A"]], [(2.0, 1.0)] * 3),
    "all ties": Plan([["tie"] * 3] * 4, [(2.0, 1.0)] * 4, manifest=TIES),
    "one model wins everything": Plan([["B"] * 3] * 5, [(1.0, 2.0)] * 5),
    "haters": Plan([["A", "B", "tie"]] * 4, [(2.0, 1.0)] * 4, manifest=TIES),
    "one comparison": Plan([["A", "B", "A"]], [(2.0, 1.0)]),
    "no votes": Plan([[""]], [(2.0, 1.0)]),
    "empty": Plan([], []),
}


@pytest.mark.parametrize("plan", WEIRD.values(), ids=list(WEIRD))
def test_whatever_is_undefined_says_why_in_every_format(plan: Plan) -> None:
    report = report_of(make_study(plan))
    document = json.loads(to_json(report))
    found = list(_without_value(document["results"]))
    assert found
    table = render(report, "csv")
    for where, reason in found:
        assert reason, f"{where} is undefined and does not say why"
        assert reason in table
    for report_format in WORDS:
        text = render(report, report_format)
        assert "undefined" in text, report_format
        assert strange(text, report_format, document) == []


def _without_value(value: Any, path: str = "results") -> Iterator[tuple[str, str]]:
    """Every estimate and test that lacks its value, p-value or interval, with its reason."""
    if isinstance(value, list):
        for place, element in enumerate(value):
            yield from _without_value(element, f"{path}[{place}]")
    elif isinstance(value, dict):
        if "method" in value and None in [value.get(key, 0) for key in ("value", "low", "p_value")]:
            yield path, value["reason"]
        for name, element in value.items():
            yield from _without_value(element, f"{path}.{name}")


def test_an_excluded_vote_changes_the_headline_and_both_are_given() -> None:
    from django.utils import timezone

    from annotation.models import Vote

    study = make_study(Plan([["A", "A", "B"], ["B"]], [(1.0, 2.0), (1.0, 2.0)]))
    votes = Vote.objects.filter(assignment__comparison__position=0).order_by("assignment_id")[:2]
    for vote in votes:
        Vote.objects.filter(pk=vote.pk).update(excluded_at=timezone.now(), exclusion_reason="failed the check")
    document = json.loads(to_json(report_of(study)))
    assert document["results"]["agreement"]["headline"]["value"] == 1.0
    assert document["results"]["agreement"]["with_excluded_votes"]["value"] == 0.5
    assert document["counts"]["excluded_votes"] == len(document["exclusions"]) == 2
    assert "2 votes by 2 annotators, 2 excluded" in document["claim"]


# --- read as a reviewer reads ---------------------------------------------------------------------
def test_one_annotator_is_no_majority() -> None:
    text = written(Plan([["A"], ["B"], ["A"], ["B"]], [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 1.0)]))
    assert "chose the model of the one annotator on 3 of 4 comparisons" in text
    assert "majority of people" not in text
    assert "undefined n = 0 1 annotator: the skills of fewer than 3 cannot be told apart" in text


def test_annotators_who_contradict_each_other_make_a_majority_of_noise_and_the_report_says_so() -> None:
    hate = [["A", "B", "A" if index % 2 else "B"] for index in range(40)]
    text = written(Plan(hate, [(2.0, 1.0)] * 40))
    assert (
        "Annotators are not shown to agree more than by chance (Krippendorff's alpha): the winners of the votes may be"
        in text
    )
    assert "if annotators hardly agree with each other, anything does" in text
    assert "moves the agreement down" not in text
    agreed = written(Plan([["A"] * 3, ["B"] * 3] * 10, [(2.0, 1.0), (1.0, 2.0)] * 10, slug="agreed"))
    assert "by chance (Krippendorff's alpha)" not in agreed


def test_where_every_vote_ties_calibrated_ties_are_read_beside_never_deciding() -> None:
    text = written(Plan([["tie"] * 3] * 5, [(2.0, 1.0)] * 5, manifest=TIES))
    assert "never naming a winner reaches 100.0 %" in text
    assert "Best tie threshold, points of score 1.00 n = 5" in text
    assert "could reach undefined n = 0 no comparison has two votes for A or B" in text
    assert "Ties dropped, Wilson undefined n = 0 no comparison that both decide" in text
    assert "neither model leads; neither model leads" not in text
    assert "Metric and constant choice differ in 0.0 %" in text
    assert "no agreement" not in text
    assert "Winners with more than half of all votes of their comparison undefined n = 0 the votes name no" in text
    assert "P001 5 100.0 % 1.0 s – –" in text  # no run of votes for a side
    assert "With any one annotator left out, the strict agreement is 0.0 %." in text
    assert "on each one, the votes or the metric name no model. What speaks" in text  # and no empty section
    assert "two-way jackknife intervals over prompts" not in text  # three annotators: no number has such an interval


def test_what_is_undefined_is_followed_by_its_reason_alone() -> None:
    text = written(Plan([["tie"] * 3] * 5, [(2.0, 1.0)] * 5, manifest=TIES))
    assert "Votes for the left side undefined n = 0 every vote is a tie, or its sides were not recorded Tie" in text
    assert "the metric agrees on no comparison Accuracy" in text


def test_differences_of_shares_are_points_and_no_percentages() -> None:
    text = written(Plan([["A"] * 3] * 12 + [["A", "A", "B"]] * 8, [(2.0, 1.0)] * 9 + [(1.0, 2.0)] * 11))
    assert re.search(r"Metric minus annotator −[\d.]+ points \[−[\d.]+, −?[\d.]+\] n = 20", text)


def test_numbers_agree_with_their_nouns_in_the_smallest_study() -> None:
    one = " ".join(written(Plan([["A"]], [(2.0, 1.0)])).split())
    assert "chose the model of the one annotator on 1 of 1 comparison, 100.0 %" in one
    assert "name the same model on the one comparison that both decide" in one
    two = " ".join(written(Plan([["A", "A"], ["B"]], [(2.0, 1.0), (1.0, 2.0)], slug="two")).split())
    assert "The votes are unanimous on 1 of 1 comparison with two votes or more." in two
    nouns = "comparisons|votes|annotators|prompts|images|winners|models|clusters|sets"
    for text in (one, two):
        assert re.findall(rf".{{0,60}}(?<![\d.,−])(?<!n = )1 (?:{nouns})\b|\ball 1\b", text) == []
