import html
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.models import Study, Vote
from annotation.reports.findings.results import Results
from annotation.reports.printing.doubts import reservations
from annotation.reports.printing.sentences import beyond_chance, side_mattered
from annotation.reports.report_jobs.downloads import FORMATS, render
from annotation.reports.sections.agreement.agreement import paragraphs
from annotation.reports.sections.contents import claim_figure
from annotation.reports.sections.verdict import SEALED, _when
from scoring.statistics.agreement.credit_tests import mcnemar_exact
from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.bias import PositionBias, position_bias
from tests.annotation.reports.voted_studies import Plan, crossed, make_study, report_of, results_of

pytestmark = pytest.mark.django_db

METRIC = "SCS (clip:openai/clip-vit-base-patch32@c237dc49)"


def claim_of(plan: Plan) -> str:
    return report_of(make_study(plan)).claim


def test_high_agreement_that_is_not_shown_to_beat_always_naming_one_model_says_so() -> None:
    assert claim_of(crossed([[88, 2], [4, 6]])).startswith(
        "SCS chose the model with more votes of people on 94 of 100 comparisons. "
        "94.0 %, 95 % interval 87.5 to 97.2 % (Wilson); a tie on one side only counts as disagreement. "
        "SCS is not shown to beat always naming A (Alpha), which agrees on 90 of 100. "
        "90.0 %, difference 4.0 points, 95 % interval −1.9 to 10.8, exact McNemar p = 0.289. Undecided is no proof of "
        "equality. "
        "A new annotator on a new prompt agrees with SCS on 94.0 %, with another annotator on 100.0 %. Difference −6.0 "
        "points. No interval: only 3 annotators, and an interval for annotators like these needs 6. "
        "By the winner of the other votes, one annotator is right on 100.0 %, and the metric on 94.0 %. "
        "The study file fixed no margin, so there is no verdict. "
        f"300 votes by 3 annotators, none excluded. A is Alpha, B is Beta. Metric: {METRIC}. The study ran from "
    )


def test_a_metric_that_beats_the_baseline_says_so() -> None:
    claim = claim_of(crossed([[30, 2], [1, 27]]))
    assert (
        "SCS beats always naming A (Alpha), which agrees on 32 of 60. 53.3 %, difference 41.7 points, 95 % interval "
        in claim
    )
    assert ", exact McNemar p < 0.001. " in claim


def test_a_metric_that_does_worse_than_always_naming_one_model_says_so() -> None:
    said = "SCS does worse than always naming A (Alpha), which agrees on 32 of 40. 80.0 %, difference −"
    assert said in claim_of(crossed([[8, 24], [4, 4]]))


def test_few_clusters_are_in_the_claim_and_no_verdict_comes_from_five() -> None:
    claim = claim_of(replace(crossed([[15, 0], [0, 15]]), clusters=[f"c{number // 6}" for number in range(30)]))
    assert "not shown to beat always naming" in claim
    assert "Only 5 clusters of comparisons: a verdict needs 6." in claim


def test_simulated_votes_are_never_called_people() -> None:
    claim = claim_of(crossed([[5, 0], [0, 5]], kind="simulated"))
    assert "people" not in claim
    assert "the model with more votes of simulated annotators" in claim
    assert "30 votes by 3 annotators, all of them simulated, none excluded." in claim


def test_a_sealed_study_claims_nothing_and_one_that_opted_out_says_interim() -> None:
    plan = crossed([[5, 0], [0, 5]], state="open")
    assert claim_of(plan) == SEALED
    Study.objects.all().delete()
    plan.manifest, plan.slug = {"sealed": False}, "unsealed"
    assert claim_of(plan).startswith("Interim: SCS")


@pytest.mark.parametrize(
    ("endpoint", "wording"),
    [
        (
            "strict",
            "on 2 of 4 comparisons. 50.0 %, 95 % interval 15.0 to 85.0 % (Wilson); a tie on one side only counts as",
        ),
        (
            "half",
            "on 2 of 4 comparisons, and 1 with a tie on one side counts half. 62.5 %, 95 % interval 24.8 to 88.9 % (",
        ),
        (
            "dropped",
            "on 2 of 3 comparisons (4 planned). 66.7 %, 95 % interval 20.8 to 93.9 % (Wilson); ties left out.",
        ),
    ],
)
def test_the_primary_endpoint_is_the_headline(endpoint: str, wording: str) -> None:
    votes = [["A"], ["A"], ["tie"], ["B"]]
    scores = [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 2.0)]
    assert wording in claim_of(Plan(votes, scores, manifest={"analysis": {"primary_endpoint": endpoint}}))


def test_half_credits_that_add_up_to_a_whole_are_no_comparisons() -> None:
    """Two of four are right and two count half: not "3 of 4"; A is right once and half right twice: not "2 of 4"."""
    plan = Plan([["A"], ["tie"], ["tie"], ["B"]], [(2.0, 1.0), (2.0, 1.0), (1.0, 2.0), (1.0, 2.0)])
    said = claim_of(replace(plan, manifest={"analysis": {"primary_endpoint": "half", "constant_choice": "A"}}))
    assert "on 2 of 4 comparisons, and 2 with a tie on one side count half. 75.0 %" in said
    assert "always naming A (Alpha), the study file's choice, which agrees on 50.0 % of 4. 50.0 %" in said


def test_votes_that_follow_the_model_to_either_side_show_no_side_that_mattered() -> None:
    """Three people vote for A wherever it stands, on the left in 2 of 9: nobody is biased."""
    few = Resampling(resamples=10)
    for_a, always_left = (position_bias(left, [[2, 7]] * 3, resampling=few) for left in ([[2, 0]] * 3, [[2, 7]] * 3))
    assert for_a.pooled_test.p_value is not None
    assert for_a.pooled_test.p_value < 0.05
    assert side_mattered(for_a, level=0.95) == ""
    assert "left was chosen in 100.0 %" in side_mattered(always_left, level=0.95)


NOISE = [["A", "B", "A"], ["B", "A", "B"], ["A", "A", "B"], ["B", "B", "A"]] * 3


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_votes_that_may_be_noise_are_called_so_wherever_the_claim_stands(name: str) -> None:
    plan = Plan(NOISE, [(2.0, 1.0), (1.0, 2.0)] * 6)
    report = report_of(make_study(plan))
    said = "Annotators are not shown to agree more than by chance (Krippendorff"
    assert said in report.claim
    assert said in " ".join(html.unescape(render(report, name)).split())


def test_votes_that_nearly_all_name_one_model_are_not_called_noise() -> None:
    votes = [["A", "A", "A"]] * 11 + [["A", "A", "B"]] * 4
    claim = report_of(make_study(Plan(votes, [(2.0, 1.0)] * 15))).claim
    why = "4 votes for other than the most frequent choice, and an interval needs 15"
    assert f"more than by chance (Krippendorff's alpha has no interval: {why})." in claim
    assert "noise" not in claim


def test_with_few_clusters_the_interval_for_annotators_like_these_tells_whether_they_agree_by_chance() -> None:
    alpha = Estimate(0.4, None, None, 0.95, 90, "bootstrap", "12 clusters of comparisons, and an interval needs 30")
    found = results_of(make_study(Plan(NOISE, [(2.0, 1.0), (1.0, 2.0)] * 6))).reliability
    others = found.annotators_like_these
    assert others is not None
    for low, said in ((0.1, ""), (-0.1, "are not shown to agree more than by chance")):
        like_these = replace(others, alpha=replace(alpha, low=low, high=0.7, reason=""))
        assert beyond_chance(replace(found, alpha=alpha, annotators_like_these=like_these)) == said
    assert beyond_chance(replace(found, alpha=alpha, annotators_like_these=None))


def test_every_reason_for_doubt_about_the_winners_is_in_the_claim() -> None:
    plan = crossed([[5, 1], [1, 5]])
    plan.manifest = {"sealed": False}
    report = report_of(make_study(plan))
    assert report.results is not None

    def doubts(found: Results) -> tuple[str, ...]:
        return reservations(report.study, reliability=found.reliability, bias=found.bias, noise=found.image_noise)

    assert "Not sealed: results could be seen while votes came in." in report.claim
    biased = SignificanceTest(9.0, 0.0004, 6, "paired t")
    share = Estimate(0.8, 0.7, 0.9, 0.95, 6, "t")
    position = PositionBias(share, biased, biased, share, biased)
    fresh = report.results.image_noise.fresh_seeds
    assert fresh is not None
    alpha = replace(report.results.reliability.alpha, value=0.1, low=-0.1, high=0.3)
    results = replace(
        report.results,
        bias=replace(report.results.bias, position=position),
        reliability=replace(report.results.reliability, alpha=alpha),
        image_noise=replace(
            report.results.image_noise, images=8, comparisons=12, fresh_seeds=replace(fresh, doubtful=3)
        ),
    )
    said = doubts(results)
    assert [clause.partition(" ")[0] for clause in said] == ["annotators", "the", "a", "not"]
    assert "are not shown to agree more than by chance" in said[0]
    assert "left was chosen in 80.0 % (paired t, p < 0.001)" in said[1]
    assert said[2] == "a fresh draw of seeds could well change 3 of the metric's 12 winners"
    assert "Krippendorff's alpha: bootstrap over clusters. A new" in claim_figure(report, results).caption
    without = replace(results.reliability, alpha=replace(alpha, low=None, high=None))
    assert "are not shown to agree more than by chance" in doubts(replace(results, reliability=without))[0]
    unanimous = replace(results.reliability, alpha=replace(alpha, value=1.0, low=None, high=None))
    assert doubts(replace(results, reliability=unanimous)) == said[1:]
    caption = claim_figure(report, replace(results, reliability=without)).caption
    assert "Krippendorff's alpha: no interval. A new annotator on a new prompt: no interval." in caption
    text = render(replace(report, results=results), "txt")
    assert "are not shown to agree more than by chance" in text
    assert "The side mattered: left was chosen in 80.0 %" in text
    assert [clause for clause in doubts(report.results) if "not sealed" not in clause] == []


def test_the_claim_says_what_excluded_votes_would_have_made_of_it() -> None:
    study = make_study(crossed([[5, 1], [1, 5]]))
    annotator = study.annotators.first()
    Vote.objects.filter(assignment__annotator=annotator).update(
        excluded_at=timezone.now(), exclusion_reason="always the same side"
    )
    report = report_of(study)
    assert "12 excluded (with them 83.3 %)." in report.claim


# --- lines ----------------------------------------------------------------------------------------
def outcomes(plan: Plan) -> dict[str, str]:
    """The outcome of each line of the verdict, by what it is about."""
    return {line.kind: line.outcome for line in report_of(make_study(plan)).verdict}


@pytest.mark.parametrize(
    ("table", "outcome"),
    [([[30, 2], [1, 27]], "shown"), ([[8, 24], [4, 4]], "shown worse"), ([[88, 2], [4, 6]], "undecided")],
)
def test_each_comparison_has_one_of_three_outcomes(table: list[list[int]], outcome: str) -> None:
    assert outcomes(crossed(table)) == {
        "agreement": "none",
        "constant choice": outcome,
        "one more annotator": "none",
        "votes": "none",
    }


def test_a_margin_in_the_manifest_makes_a_verdict_on_one_more_person() -> None:
    plan = replace(crossed([[30, 2], [1, 27]], voters=8), manifest={"analysis": {"person_margin": 0.2}})
    report = report_of(make_study(plan))
    (line,) = [one for one in report.verdict if one.kind == "one more annotator"]
    assert line.outcome == "shown"
    assert line.sentence == "SCS is shown to fall short of one more person by less than 20 points, if at all."
    assert line.numbers.startswith("A new annotator on a new prompt agrees with SCS on 95.0 %, with another annotator")
    assert "no margin" not in line.numbers


def test_a_share_without_an_interval_does_not_hide_that_of_the_other() -> None:
    """If all votes are ties, people agree on every comparison, and the metric on those where it ties too."""
    plan = Plan([["tie"] * 6] * 7, [(2.0, 1.0)] * 5 + [(1.0, 1.0)] * 2, manifest={"annotation": {"ties": True}})
    (line,) = [one for one in report_of(make_study(plan)).verdict if one.kind == "one more annotator"]
    assert "Difference −35.7 points, 95 % interval " in line.numbers
    assert "The two shares: 64.3 % (95 % interval " in line.numbers
    assert "and 100.0 %, for annotators like these. An interval is missing: the same without the votes" in line.numbers


def test_a_sealed_study_has_who_voted_and_nothing_that_was_found() -> None:
    verdict = report_of(make_study(crossed([[5, 0], [0, 5]], state="open"))).verdict
    assert [line.kind for line in verdict] == ["sealed", "votes"]
    assert verdict[1].sentence == "30 votes by 3 annotators, none excluded."
    assert "The study has been open since " in verdict[1].numbers


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        ([["tie"] * 3] * 5, "The votes name no model on any of the 5 comparisons."),
        ([["tie"] * 3] * 4 + [["A"] * 3], "The votes name a model on only 1 of 5 comparisons."),
        ([["A"]] * 5, "One annotator voted, so nothing tells how reliable the votes are."),
        ([["A"] * 3], "The agreement rests on only 1 comparison."),
    ],
)
def test_what_makes_the_winners_few_or_poor_is_a_doubt(votes: list[list[str]], said: str) -> None:
    plan = Plan(votes, [(2.0, 1.0)] * len(votes), manifest={"annotation": {"ties": True}})
    doubts = [line.sentence for line in report_of(make_study(plan)).verdict if line.outcome == "doubt"]
    assert any(doubt.startswith(said) for doubt in doubts), doubts


def test_two_constant_choices_that_do_equally_well_are_the_harder_one_and_the_report_says_so() -> None:
    """10 and 10 winners, of which the metric misses three: against A p = .0156, against B .0923, which counts."""
    votes = [["A"]] * 10 + [["B"]] * 10
    scores = [(2.0, 1.0)] * 10 + [(1.0, 2.0)] * 7 + [(2.0, 1.0)] * 3
    report = report_of(make_study(Plan(votes, scores)))
    assert report.results is not None
    assert report.results.agreement.constant_choice is not None
    choice = report.results.agreement.constant_choice.strict
    assert choice.models == ("A", "B")
    against_a, against_b = mcnemar_exact(7, 0).p_value, mcnemar_exact(10, 3).p_value
    assert against_a == pytest.approx(0.0156, abs=1e-4)
    assert against_b == pytest.approx(0.0923, abs=1e-4)
    assert choice.test.p_value == against_b
    assert "A (Alpha) or B (Beta), whichever is harder to beat" in report.claim


def test_a_study_of_one_day_ran_on_it_and_a_margin_of_one_comparison_is_one_number() -> None:
    votes = [["A"] * 3, ["B"] * 3, ["A"] * 3, ["B"] * 3, ["A"] * 3, ["B"] * 3]
    plan = Plan(votes, [(70.0 + margin, 70.0) for margin in (1.0, 2.0, 3.0, 4.0, 5.0, 6.5)])
    report = report_of(make_study(plan))
    assert report.results is not None
    assert "; where it is largest (6.50), on 0 of 1." in paragraphs(report, report.results)[1]
    closed = report.study.closed_at
    assert closed is not None
    one_day = replace(report.study, opened_at=closed)
    assert _when(one_day) == f"The study ran on {closed:%Y-%m-%d}."
    longer = replace(report.study, opened_at=closed - timedelta(days=2))
    assert _when(longer).startswith(f"The study ran from {closed - timedelta(days=2):%Y-%m-%d} to ")
