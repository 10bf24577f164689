"""The crossed model in a report: which votes it takes, and what it warns of."""

from dataclasses import replace

import numpy as np
import pytest

from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.people import crossed_model
from annotation.reports.findings.people.people import of_single_votes
from annotation.reports.formats.plain_text import to_text
from benchmarks.simulated_study import simulated_study
from scoring.statistics.people.single_votes import SingleVotes
from tests.annotation.reports.voted_studies import Plan, make_study, report_of, results_of

NAMES = np.array(["A", "B", "tie"])


def plan(*, are_sides_known: bool = True) -> Plan:
    """Forty comparisons with five votes each, some of them ties."""
    rng = np.random.default_rng(6)
    margin = rng.normal(0.3, 1, 40)
    lean = margin[:, np.newaxis] + rng.normal(0, 0.8, (40, 1)) + rng.normal(0, 0.5, 5) + rng.logistic(size=(40, 5))
    votes = NAMES[np.where(lean > 0.2, 0, np.where(lean < -0.2, 1, 2))].tolist()
    return Plan(votes, [(50 + one, 50) for one in margin.tolist()], are_sides_known=are_sides_known)


@pytest.mark.django_db
def test_the_section_prints_effects_parts_and_plans() -> None:
    text = to_text(report_of(make_study(plan())))
    section = text.partition("What makes a vote")[2].partition("\n\n\n")[0]
    for words in ("one standard deviation of the margin", "Threshold 2", "Annotators' taste", "Chance", "For planning"):
        assert words in section
    assert "no interval: only 5 annotators, and an interval for annotators like these needs 6" in section
    assert "[" not in section.partition("For planning")[0]


@pytest.mark.django_db
def test_unknown_sides_drop_the_side_and_nothing_else() -> None:
    found = results_of(make_study(plan(are_sides_known=False))).crossed_model
    assert found is not None
    assert found.side.reason == "the sides of 200 votes are unknown"
    assert found.slope.is_defined
    assert {part.name: part.variance.is_defined for part in found.variances}["side bias"] is False


@pytest.mark.django_db
def test_a_study_without_a_model_says_why() -> None:
    study = make_study(Plan([["A", "A"], ["B", "B"]], [(2.0, 1.0), (1.0, 2.0)]))
    found = results_of(study).crossed_model
    assert found is not None
    assert found.reason
    assert f"Undefined: {found.reason}." in " ".join(to_text(report_of(study)).split())


def test_each_vote_has_its_own_side() -> None:
    data = simulated_study(comparisons=12, votes=4, annotators=6)
    excluded = data.votes.is_excluded.copy()
    excluded[[0, 7, 30]] = True
    scores = data.comparisons.score_a.copy()
    scores[3] = np.nan
    data = replace(
        data,
        votes=replace(data.votes, is_excluded=excluded),
        comparisons=replace(data.comparisons, score_a=scores),
    )
    analysed = analyse(data)
    sides = crossed_model._sides(analysed)
    expected = {
        (comparison, annotator): 0.5 if left == 0 else -0.5
        for comparison, annotator, left in zip(
            data.votes.comparison.tolist(), data.votes.annotator.tolist(), data.votes.left.tolist(), strict=True
        )
    }
    votes = analysed.votes
    found = zip(analysed.place[votes.comparison].tolist(), votes.annotator.tolist(), strict=True)
    assert sides.tolist() == [expected[key] for key in found]
    assert len(sides) == 48 - 3 - 4


def test_a_model_that_the_counted_agreement_contradicts_is_warned_of() -> None:
    analysed = analyse(simulated_study(comparisons=60, votes=4, annotators=8))
    single = of_single_votes(analysed)
    assert crossed_model.compute(analysed, single).warnings == ()
    apart = replace(single.metric, value=0.2, low=0.15, high=0.25)
    (warning,) = crossed_model.compute(analysed, replace(single, metric=apart)).warnings
    assert "but 20.0 % was counted" in warning
    without_interval = SingleVotes(*(replace(one, low=None, high=None) for one in (apart, apart, apart)))
    assert len(crossed_model.compute(analysed, without_interval).warnings) == 2
