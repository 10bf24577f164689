"""A study that stopped early: what it saved, and reliability from the votes that no stop could choose."""

from dataclasses import replace

import numpy as np
import pytest

from annotation.models import Annotator, Vote
from annotation.reports.formats.plain_text import to_text
from annotation.voting.rules import is_decided
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.leave_one_out import leave_one_out
from scoring.statistics.people.reliability import pairwise_agreement
from scoring.statistics.votes.votes import Votes
from tests.annotation.reports.voted_studies import Plan, make_study, report_of, results_of

# At an overlap of 5: decided by three votes, complete, and decided by four. The first three votes of the second
# comparison have another winner than all of them.
VOTES = (("A", "A", "A"), ("B", "B", "A", "A", "A"), ("A", "B", "B", "B"))
FIRST_COUNTS = np.array([[3, 0, 0], [1, 2, 0], [1, 2, 0]])
PLAN = Plan(
    votes=VOTES,
    scores=[(2.0, 1.0), (2.0, 1.0), (1.0, 2.0)],
    manifest={"annotation": {"overlap": 5, "early_stopping": True}, "analysis": {"resamples": 100}},
)


@pytest.mark.django_db
def test_what_was_saved_is_what_the_decided_comparisons_lack() -> None:
    results = results_of(make_study(PLAN)).early_stopping
    assert (results.closed_comparisons, results.saved_votes, results.first_votes) == (2, 3, 3)


@pytest.mark.django_db
def test_the_winners_come_from_all_votes() -> None:
    results = results_of(make_study(PLAN))
    assert [row.people_winner for row in results.comparisons] == ["A", "A", "B"]
    assert results.agreement.headline.value == 1.0


@pytest.mark.django_db
def test_reliability_and_what_people_share_come_from_the_first_votes() -> None:
    results = results_of(make_study(PLAN))
    assert results.reliability.pairwise_agreement.value == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    metric = np.array([1, 1, -1], dtype=np.int8)
    expected = leave_one_out(FIRST_COUNTS, metric).by_comparison
    assert results.people.leave_one_out.by_comparison.people.value == expected.people.value
    assert results.people.leave_one_out.by_comparison.metric.value == expected.metric.value
    assert results.single_votes
    assert results.single_votes.people.value == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert {row.annotator: row.votes for row in results.bias.annotators} == {"P001": 3, "P002": 3, "P003": 3}


@pytest.mark.django_db
def test_a_study_without_the_option_uses_every_vote_and_saves_none() -> None:
    plan = replace(PLAN, manifest={"annotation": {"overlap": 5}, "analysis": {"resamples": 100}})
    results = results_of(make_study(plan))
    assert (results.early_stopping.saved_votes, results.early_stopping.first_votes) == (0, None)
    assert results.reliability.pairwise_agreement.value == pytest.approx((1 + 4 / 10 + 3 / 6) / 3)


@pytest.mark.django_db
def test_the_first_votes_are_the_first_that_count() -> None:
    study = make_study(PLAN)
    of_first = Vote.objects.filter(assignment__annotator=Annotator.objects.earliest("pk"))
    of_first.update(excluded_at=study.closed_at, exclusion_reason="failed the check")
    results = results_of(study)
    # AA, BAA, BBB; with the excluded votes as above.
    assert results.reliability.pairwise_agreement.value == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert results.with_excluded_votes
    assert results.with_excluded_votes.pairwise_agreement.value == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert results.early_stopping.saved_votes == 1  # of the third; AA of 5 is not certain, and its slot stays taken


@pytest.mark.django_db
def test_the_report_says_both() -> None:
    text = to_text(report_of(make_study(PLAN)))
    assert "Votes saved by early stopping" in text
    assert " ".join(text.split()).count("From the first 3 votes of each comparison") == 4


def test_the_first_votes_agree_as_all_votes_of_the_full_overlap_would_and_all_cast_votes_do_not() -> None:
    """20,000 comparisons of one clarity, where two annotators agree with chance .7 * .7 + .3 * .3."""
    overlap, comparisons, share = 5, 20_000, 0.7
    full = np.where(np.random.default_rng(20260101).random((comparisons, overlap)) < share, 0, 1)
    rows = [(place, turn) for place in range(comparisons) for turn in range(_stop(full[place].tolist()))]
    place, turn = np.array(rows).T
    votes = Votes.of(place, turn, full[place, turn])
    resampling = Resampling(resamples=100)
    truth = share**2 + (1 - share) ** 2
    first = pairwise_agreement(votes.first_of_each(overlap // 2 + 1).counts(comparisons), resampling=resampling)
    cast = pairwise_agreement(votes.counts(comparisons), resampling=resampling)
    assert first.value == pytest.approx(truth, abs=0.01)
    assert cast.value
    assert cast.value > truth + 0.02


def _stop(choices: list[int]) -> int:
    """How many of a comparison's votes are cast before it is decided."""
    for given in range(len(choices)):
        for_b = sum(choices[:given])
        if is_decided(for_a=given - for_b, for_b=for_b, ties=0, overlap=len(choices)):
            return given
    return len(choices)
