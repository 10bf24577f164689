import html
from dataclasses import replace

import pytest
from django.utils import timezone

from annotation.models import Study, Vote
from annotation.reports.findings.results import Results
from annotation.reports.report import SEALED_CLAIM
from annotation.reports.report_jobs.downloads import FORMATS, render
from annotation.reports.sections.claim import reservations
from annotation.reports.sections.contents import claim_figure
from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.people.bias import PositionBias
from tests.annotation.reports.voted_studies import Plan, crossed, make_study, report_of

pytestmark = pytest.mark.django_db

METRIC = "SCS (clip:openai/clip-vit-base-patch32@c237dc49)"


def claim_of(plan: Plan) -> str:
    return report_of(make_study(plan)).claim


def test_high_agreement_that_is_not_shown_to_beat_always_naming_one_model_says_so() -> None:
    assert claim_of(crossed([[88, 2], [4, 6]])) == (
        f"{METRIC} chose the model with more votes of people on 94.0 % of 100 comparisons, "
        "95 % interval 87.5 to 97.2 % (Wilson), a tie on one side only counts as disagreement; "
        "not shown to beat always naming A (Alpha), 90.0 % "
        "(difference 4.0 points, 95 % interval −1.9 to 10.8, exact McNemar p = 0.289); "
        "one annotator agrees with the winner of the other votes on 100.0 %, the metric on the same votes on 94.0 %, "
        "ties counting one half; "
        "a new annotator on a new prompt agrees with the metric on 94.0 %, with another annotator on 100.0 % (no "
        "interval: too few annotators: 3, and an interval for annotators like these needs 6); "
        "300 votes by 3 annotators, none excluded."
    )


def test_a_metric_that_beats_the_baseline_says_so() -> None:
    claim = claim_of(crossed([[30, 2], [1, 27]]))
    assert "; beats always naming A (Alpha), 53.3 % (difference 41.7 points, 95 % interval " in claim
    assert ", exact McNemar p < 0.001); " in claim


def test_a_metric_that_does_worse_than_always_naming_one_model_says_so() -> None:
    assert "; does worse than always naming A (Alpha), 80.0 % (difference −" in claim_of(crossed([[8, 24], [4, 4]]))


def test_few_clusters_are_in_the_claim_and_no_verdict_comes_from_five() -> None:
    claim = claim_of(replace(crossed([[15, 0], [0, 15]]), clusters=[f"c{number // 6}" for number in range(30)]))
    assert "not shown to beat always naming" in claim
    assert "only 5 clusters of comparisons: no verdict, which needs 6" in claim


def test_simulated_votes_are_never_called_people() -> None:
    claim = claim_of(crossed([[5, 0], [0, 5]], kind="simulated"))
    assert "people" not in claim
    assert "the model with more votes of simulated annotators" in claim
    assert claim.endswith("30 votes by 3 annotators, all of them simulated, none excluded.")


def test_a_sealed_study_claims_nothing_and_one_that_opted_out_says_interim() -> None:
    plan = crossed([[5, 0], [0, 5]], state="open")
    assert claim_of(plan) == SEALED_CLAIM
    Study.objects.all().delete()
    plan.manifest, plan.slug = {"sealed": False}, "unsealed"
    assert claim_of(plan).startswith("Interim: SCS")


@pytest.mark.parametrize(
    ("endpoint", "wording"),
    [
        ("strict", "50.0 % of 4 comparisons, 95 % interval 15.0 to 85.0 % (Wilson), a tie on one side only counts as"),
        ("half", "62.5 % of 4 comparisons, 95 % interval 24.8 to 88.9 % (score interval), a tie on one side"),
        ("dropped", "66.7 % of 3 comparisons (4 planned), 95 % interval 20.8 to 93.9 % (Wilson), ties left out"),
    ],
)
def test_the_primary_endpoint_is_the_headline(endpoint: str, wording: str) -> None:
    votes = [["A"], ["A"], ["tie"], ["B"]]
    scores = [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 2.0)]
    assert wording in claim_of(Plan(votes, scores, manifest={"analysis": {"primary_endpoint": endpoint}}))


NOISE = [["A", "B", "A"], ["B", "A", "B"], ["A", "A", "B"], ["B", "B", "A"]] * 3


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_votes_that_may_be_noise_are_called_so_wherever_the_claim_stands(name: str) -> None:
    plan = Plan(NOISE, [(2.0, 1.0), (1.0, 2.0)] * 6)
    report = report_of(make_study(plan))
    said = "annotators agree no more than by chance (Krippendorff"
    assert said in report.claim
    assert said in " ".join(html.unescape(render(report, name)).split())


def test_every_reason_for_doubt_about_the_winners_is_in_the_claim() -> None:
    plan = crossed([[5, 1], [1, 5]])
    plan.manifest = {"sealed": False}
    report = report_of(make_study(plan))
    assert report.results is not None

    def doubts(found: Results) -> tuple[str, ...]:
        return reservations(report.study, reliability=found.reliability, bias=found.bias, noise=found.image_noise)

    assert "not sealed: results could be seen while votes came in" in report.claim
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
    assert "left was chosen in 80.0 % (paired t p < 0.001)" in said[1]
    assert said[2] == "a fresh draw of seeds could well change 3 of the metric's 12 winners"
    assert "Krippendorff's alpha (bootstrap over clusters); a new" in claim_figure(report, results).caption
    without = replace(results.reliability, alpha=replace(alpha, low=None, high=None))
    caption = claim_figure(report, replace(results, reliability=without)).caption
    assert "Krippendorff's alpha (without an interval); a new annotator on a new prompt (without" in caption
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
    assert report.claim.endswith("12 excluded (with them 83.3 %).")
