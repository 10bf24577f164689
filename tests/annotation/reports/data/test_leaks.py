"""A metric that comes from an annotator, or was tuned on the prompts: what the report leaves out and says."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from annotation.models import Study
from annotation.reports.bundle.replay import replay, replayed_report, write_bundle
from annotation.reports.data.leaks import SOURCE_OF_METRIC
from annotation.reports.formats.document import to_json
from annotation.reports.formats.plain_text import to_text
from annotation.studies.documents import document, sha256
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import StudyFileFault, read_study_file
from annotation.studies.study_file.writing import write_study_file
from tests.annotation.reports.voted_studies import Plan, gathered, make_study, report_of, results_of, unsealed
from tests.factories import make_manifest

pytestmark = pytest.mark.django_db

OWN = Manifest.model_fields["encoder"].default.metric
# Person 0 says what the metric says, always A; one other or both say B on four comparisons of ten.
VOTES = [["A", "A", "A"]] * 6 + [["A", "B", "B"]] * 2 + [["A", "A", "B"]] * 2
PLAN = Plan(VOTES, [(2.0, 1.0)] * 10)


def leaking(leaks: dict[str, Any], **named: Any) -> Plan:
    return replace(PLAN, manifest={"analysis": {"resamples": 200, "leaks_from": leaks}}, **named)


@pytest.mark.parametrize("name", ["person 0", "P001"])
def test_the_annotator_whom_the_metric_comes_from_is_left_out_and_listed(name: str) -> None:
    report = report_of(make_study(leaking({OWN: {"annotators": [name]}})))
    assert report.results is not None
    headline, before = report.results.agreement.headline, report.results.agreement.with_excluded_votes
    assert (headline.value, headline.n) == (0.6, 10)
    assert before is not None
    assert before.value == 0.8, "their vote breaks two ties of the others in the metric's favour"
    assert [(row.annotator, row.reason) for row in report.exclusions] == [("P001", SOURCE_OF_METRIC)] * 10
    assert (report.counts.votes, report.counts.excluded_votes, report.counts.annotators) == (20, 10, 2)
    assert [(row.metric, row.name, row.pseudonym) for row in report.study.leaks] == [(OWN, name, "P001")]
    assert "The metric comes from P001, whose votes are left out" in report.claim
    assert "10 excluded" in report.claim


def test_the_headlines_with_and_without_are_those_of_two_and_of_three_annotators() -> None:
    with_all, without = (
        results_of(make_study(PLAN)),
        results_of(make_study(leaking({OWN: {"annotators": ["person 0"]}}, slug="without"))),
    )
    others = results_of(make_study(replace(PLAN, votes=[row[1:] for row in VOTES], slug="others")))
    assert without.with_excluded_votes is not None
    assert without.with_excluded_votes.alpha == with_all.reliability.alpha
    assert without.reliability.alpha == others.reliability.alpha != with_all.reliability.alpha
    assert without.people.leave_one_out == others.people.leave_one_out


def test_a_vote_that_was_excluded_before_keeps_its_reason() -> None:
    study = make_study(leaking({OWN: {"annotators": ["person 0"]}}))
    vote = study.annotators.earliest("pk").assignments.earliest("pk").votes.get()
    vote.excluded_at, vote.exclusion_reason = study.closed_at, "asked for it"
    vote.save()
    reasons = [row.reason for row in report_of(study).exclusions]
    assert sorted(reasons) == ["asked for it", *[SOURCE_OF_METRIC] * 9]


def test_a_name_that_nobody_has_is_said_and_leaves_nobody_out() -> None:
    report = report_of(make_study(leaking({OWN: {"annotators": ["persn 0"]}})))
    assert "The metric comes from “persn 0”, a name that no annotator has: nobody is left out" in report.claim
    assert (report.counts.excluded_votes, report.exclusions) == (0, ())


def test_a_metric_without_scores_is_said_with_the_nearest_name() -> None:
    study = make_study(leaking({"lpipps": {"prompts": True}}))
    for comparison in study.comparisons.all():
        for image_set in (comparison.image_set_a, comparison.image_set_b):
            image_set.scores.create(metric="lpips", value=1.0, source="imported")
    text = " ".join(to_text(report_of(study)).split())
    assert "lpipps the prompts nothing: no scores by this metric (did you mean “lpips”?)" in text
    assert "tuned on these prompts" not in report_of(study).claim


def test_a_metric_tuned_on_the_prompts_carries_the_reservation() -> None:
    report = report_of(make_study(leaking({OWN: {"prompts": True}})))
    assert "The metric was tuned on these prompts, so its agreement on other prompts may be lower" in report.claim
    assert report.counts.excluded_votes == 0


def test_several_metrics_are_judged_without_the_annotators_of_any_of_them() -> None:
    """The headline is the reported metric's, which comes from nobody: it keeps every vote."""
    study = make_study(leaking({"other": {"annotators": ["person 0"]}}))
    for comparison in study.comparisons.all():
        comparison.image_set_a.scores.create(metric="other", value=2.0, source="imported")
        comparison.image_set_b.scores.create(metric="other", value=1.0, source="imported")
    results, alone = (
        results_of(study),
        results_of(make_study(replace(PLAN, votes=[row[1:] for row in VOTES], slug="two"))),
    )
    assert results.agreement.headline == results_of(make_study(replace(PLAN, slug="all"))).agreement.headline
    own, other = results.metrics.metrics
    assert (own.agreement, other.agreement) == (alone.metrics.metrics[0].agreement,) * 2
    assert results.metrics.left_out == ("P001",)
    assert "metrics are compared without these votes" in to_text(report_of(study))
    assert "Without the votes of P001" in to_text(report_of(study))
    judged = report_of(study, metric="other")
    assert (judged.counts.excluded_votes, judged.study.metric) == (10, "other")


def test_a_bundle_leaves_out_the_same_votes_although_it_knows_no_names(tmp_path: Path) -> None:
    study, path = make_study(leaking({OWN: {"annotators": ["person 0"], "prompts": True}})), tmp_path / "bundle.zip"
    write_bundle(study, path)
    again = replay(path)
    assert again.data.leaks == unsealed(study).leaks
    assert to_json(replayed_report(again, path)) == to_json(report_of(study))


def test_a_sealed_study_excludes_them_too() -> None:
    data = gathered(make_study(leaking({OWN: {"annotators": ["person 0"]}}, state="open")))
    assert int(data.votes.is_excluded.sum()) == len(data.votes.exclusions) == 10


# --- the study file -----------------------------------------------------------------------------
FILE = (
    'name = "Small"\nsource = "external"\n[models.a]\nname = "Alpha"\n[models.b]\nname = "Beta"\n'
    '[prompts]\nlist = ["one", "two"]\n[analysis.leaks_from."my metric"]\n'
)


def test_a_study_file_declares_it_and_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(FILE + 'annotators = [" anna "]\nprompts = true\n')
    leak = read_study_file(path).analysis.leaks_from["my metric"]
    assert (leak.annotators, leak.prompts) == (("anna",), True)
    again = tmp_path / "again.toml"
    again.write_text(write_study_file(read_study_file(path)))
    assert sha256(read_study_file(again)) == sha256(read_study_file(path))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("", r"line 9, analysis\.leaks_from\.my metric: says nothing; give annotators"),
        ('annotators = ["anna", "anna"]', r"names an annotator twice"),
        ('annotators = [""]', r"is empty; give a text"),
        ('annotator = "anna"', r"is not a key of a study file"),
        ('prompts = "yes"', r"must be true or false"),
    ],
)
def test_what_says_nothing_is_refused_with_its_line(tmp_path: Path, lines: str, sentence: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(FILE + lines + "\n")
    with pytest.raises(StudyFileFault, match=sentence):
        read_study_file(path)


def test_evidence_that_counts_everybody_cannot_leave_anybody_out() -> None:
    def study(metric: str) -> Manifest:
        leaks = {"leaks_from": {metric: {"annotators": ["anna"]}}}
        return make_manifest(annotation={"stop_when_decided": "metric"}, analysis=leaks)

    assert study("another metric").analysis.leaks_from
    with pytest.raises(ValueError, match=r'cannot stand beside stop_when_decided = "metric"'):
        study(OWN)


def test_a_study_that_declares_nothing_keeps_its_hash() -> None:
    plain = make_manifest()
    assert not {"leaks_from", "person_margin", "assumed_difference"} & document(plain)["analysis"].keys()
    assert sha256(plain) == sha256(make_manifest(analysis={"leaks_from": {}}))


def test_an_import_says_which_declared_names_nobody_has(tmp_path: Path) -> None:
    study = make_study(leaking({"lpips": {"annotators": ["Ann", "Bertram"]}}, slug="named"))
    Study.objects.update(source="external")
    prompt = study.comparisons.earliest("pk").prompt.text
    votes = tmp_path / "votes.csv"
    votes.write_text(f"annotator,prompt,choice\nAnna,{prompt},Alpha\nBertram,{prompt},Beta\n")
    out = StringIO()
    call_command("import_votes", "named", votes, stdout=out)
    (said,) = [line for line in out.getvalue().splitlines() if "leaks_from" in line]
    assert said.startswith("analysis.leaks_from.lpips names “Ann”, a name that no annotator has (did you mean “Anna”?)")
