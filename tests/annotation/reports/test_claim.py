import pytest

from annotation.models import Study
from annotation.reports.gathering import gather
from annotation.reports.report import SEALED_CLAIM, build_report
from tests.annotation.reports.studies import Plan, crossed, make_study

pytestmark = pytest.mark.django_db

METRIC = "SCS (clip:openai/clip-vit-base-patch32@c237dc49)"


def claim_of(plan: Plan) -> str:
    study, manifest = make_study(plan)
    return build_report(gather(study, manifest=manifest)).claim


def test_high_agreement_that_is_not_shown_to_beat_always_naming_one_model_says_so() -> None:
    assert claim_of(crossed([[88, 2], [4, 6]])) == (
        f"{METRIC} and the majority of people chose the same model on 94.0 % of 100 comparisons, "
        "95 % interval 87.5 to 97.2 % (Wilson), a tie on one side only counts as disagreement; "
        "not shown to beat always naming A (Alpha), 90.0 % (exact McNemar p = 0.289); "
        "one annotator agrees with the majority of the others on 100.0 %, the metric on the same votes on 94.0 %, "
        "ties counting one half; "
        "300 votes by 3 annotators, none excluded."
    )


def test_a_metric_that_beats_the_baseline_says_so() -> None:
    claim = claim_of(crossed([[30, 2], [1, 27]]))
    assert "; beats always naming A (Alpha), 53.3 % (exact McNemar p < 0.001); " in claim


def test_simulated_votes_are_never_called_people() -> None:
    claim = claim_of(crossed([[5, 0], [0, 5]], kind="simulated"))
    assert "people" not in claim
    assert "the majority of simulated annotators" in claim
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
        ("half", "62.5 % of 4 comparisons, 95 % interval 25.0 to 100.0 % (percentile bootstrap"),
        ("dropped", "66.7 % of 3 comparisons (4 planned), 95 % interval 20.8 to 93.9 % (Wilson), ties left out"),
    ],
)
def test_the_primary_endpoint_is_the_headline(endpoint: str, wording: str) -> None:
    votes = [["A"], ["A"], ["tie"], ["B"]]
    scores = [(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 2.0)]
    assert wording in claim_of(Plan(votes, scores, manifest={"analysis": {"primary_endpoint": endpoint}}))
