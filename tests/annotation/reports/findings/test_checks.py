"""Checks and rules in the report: counted apart, with and without exclusions, in every format, sealed or not."""

from typing import Any

import pytest
from django.utils import timezone

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.reports.exports.votes import vote_chunks
from annotation.reports.report_jobs.downloads import FORMATS, render
from annotation.studies.current import current_manifest
from tests.annotation.reports.voted_studies import Plan, make_study, report_of

pytestmark = pytest.mark.django_db
QUALITY = {"same_side": 0.05, "too_fast": 0.01}


def answered(annotator: Annotator, choice: str, *, kind: str, **shown: Any) -> Vote:
    comparison = annotator.study.comparisons.earliest("pk")
    assignment = Assignment.objects.create(
        comparison=comparison,
        annotator=annotator,
        kind=kind,
        state="voted",
        leased_at=timezone.now(),
        **{"left_model": "a", "left_images": [1, 2, 3, 4], **shown},
    )
    return assignment.votes.create(choice=choice)


@pytest.fixture
def studied() -> Study:
    """Three people on eight comparisons; the last fails the checks, contradicts themselves and is excluded."""
    plan = Plan([["A", "A", "B"]] * 8, [(2, 1)] * 8, manifest={"quality": QUALITY})
    study = make_study(plan)
    people = list(study.annotators.order_by("pk"))
    for number, annotator in enumerate(people):
        is_last = number == 2
        wrong, right = ("right", "left") if is_last else ("left", "left")
        answered(annotator, wrong, kind="ladder", known_choice="left", replaced_count=2)
        answered(annotator, right, kind="ladder", occurrence=1, known_choice="left", replaced_count=1)
        answered(annotator, wrong, kind="instructed", known_choice="left")
        first = annotator.assignments.filter(kind="main").earliest("comparison")
        swapped = "b" if first.left_model == "a" else "a"
        same = {"left": "right", "right": "left"}[first.votes.get().choice]
        answered(annotator, first.votes.get().choice if is_last else same, kind="repeat", left_model=swapped)
    Annotator.objects.filter(pk=people[2].pk).update(broken_rules="same_side")
    votes = Vote.objects.filter(assignment__annotator=people[2], assignment__kind="main")
    votes.update(excluded_at=timezone.now(), exclusion_reason="always the same side")
    return study


def test_the_ladder_the_repeats_and_the_rules_are_counted(studied: Study) -> None:
    report = report_of(studied)
    checks = report.quality.checks
    assert [(rung.replaced, rung.images, rung.may_exclude) for rung in checks.ladder] == [(2, 4, True), (1, 4, False)]
    obvious, subtle = checks.ladder
    assert obvious.right.value == pytest.approx(2 / 3)
    assert obvious.right.n == 3
    assert (obvious.right_of_counted.value, obvious.right_of_counted.n) == (1, 2)
    assert (subtle.right.value, subtle.right.n) == (1, 3)
    assert checks.instructed.value == pytest.approx(2 / 3)
    assert checks.instructed.n == 3
    assert checks.repeats_same.value == pytest.approx(2 / 3)
    assert checks.repeats_same.n == 3
    assert [(rule.rule, rule.annotators, rule.votes) for rule in checks.rules] == [
        ("too_fast", 0, 0),
        ("same_side", 1, 8),
    ]
    assert [row.broken_rules for row in report.quality.annotators] == [(), (), ("same_side",)]
    assert report.counts.votes == 16, "checks are no votes of the agreement"
    assert report.counts.excluded_votes == 8
    assert {row.reason for row in report.exclusions} == {"always the same side"}
    assert report.results is not None
    assert report.results.with_excluded_votes is not None


def test_every_format_has_them_and_a_study_without_has_no_section(studied: Study) -> None:
    report = report_of(studied)
    for report_format in FORMATS.keys() - {"md"}:  # a summary
        text = render(report, report_format)
        assert "same side" in text or "same_side" in text, report_format
    html = render(report, "html")
    assert "Attention checks" in html
    assert "66.7 % [20.8, 93.9]" in html
    assert "always the same side" in html
    plain = make_study(Plan([["A", "A"]] * 2, [(2, 1)] * 2, slug="plain"))
    assert "Attention checks" not in render(report_of(plain), "html")


def test_the_export_says_what_a_check_was_and_names_no_model_where_both_are_one(
    studied: Study,
) -> None:
    (chunk,) = vote_chunks(studied, manifest=current_manifest(studied))
    rows = [dict(zip(chunk, values, strict=True)) for values in zip(*chunk.values(), strict=True)]
    rungs = [row for row in rows if row["kind"] == "ladder"]
    assert {(row["known_choice"], row["left_model"], row["chosen_model"]) for row in rungs} == {("left", "", "")}
    assert {row["replaced_images"] for row in rungs} == {1, 2}
    main = [row for row in rows if row["kind"] == "main"]
    assert {(row["known_choice"], row["replaced_images"]) for row in main} == {("", 0)}
    assert {row["chosen_model"] for row in main} == {"Alpha", "Beta"}
