import numpy as np
import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import Annotator, Vote
from annotation.reports.data import similarities
from annotation.reports.data.study_data import (
    LEFT,
    MODEL_A,
    MODEL_B,
    RIGHT,
    TIE,
    UNKNOWN,
    ComparisonArrays,
    SealedData,
    UnsealedData,
    VoteArrays,
)
from annotation.reports.explorer.listing import list_comparisons
from annotation.reports.findings.study.study_facts import counts
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from scoring.models import SetScore
from tests.annotation.reports.voted_studies import Plan, embed, gathered, make_study, unsealed

pytestmark = pytest.mark.django_db

PLAN = Plan(
    votes=[["A", "B", "tie"], ["B", "", "A"]],
    scores=[(80.0, 70.5), (60.0, None)],
    prompts=["a red kite", "a grey sea"],
)


def test_arrays_hold_every_standing_vote_by_model_and_by_side() -> None:
    data = unsealed(make_study(PLAN))
    assert data.comparisons.prompt == ("a red kite", "a grey sea")
    np.testing.assert_array_equal(data.comparisons.score_a, [80.0, 60.0])
    np.testing.assert_array_equal(data.comparisons.score_b, [70.5, np.nan])
    np.testing.assert_array_equal(data.comparisons.is_scored, [True, False])
    np.testing.assert_array_equal(data.votes.comparison, [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(data.votes.annotator, [0, 1, 2, 0, 2])
    np.testing.assert_array_equal(data.votes.choice, [MODEL_A, MODEL_B, TIE, MODEL_B, MODEL_A])
    np.testing.assert_array_equal(data.votes.left, [MODEL_A, MODEL_B, MODEL_A, MODEL_B, MODEL_B])
    np.testing.assert_array_equal(data.votes.side, [LEFT, LEFT, TIE, LEFT, RIGHT])
    np.testing.assert_array_equal(data.votes.response_ms, [1000, 2000, 3000, 1000, 3000])


def test_sides_that_nobody_recorded_are_unknown() -> None:
    votes = unsealed(make_study(Plan([["A", "B", "tie"]], [(1, 2)], are_sides_known=False))).votes
    np.testing.assert_array_equal(votes.choice, [MODEL_A, MODEL_B, TIE])
    np.testing.assert_array_equal(votes.side, [UNKNOWN, UNKNOWN, TIE])
    np.testing.assert_array_equal(votes.left, [UNKNOWN] * 3)


def test_late_superseded_and_excluded_votes_are_counted_and_marked() -> None:
    study = make_study(PLAN)
    first, second, third, fourth, _ = Vote.objects.order_by("assignment_id")
    Vote.objects.filter(pk=first.pk).update(excluded_at=timezone.now(), exclusion_reason="ten clicks in a row")
    Vote.objects.filter(pk=second.pk).update(state="late")
    Vote.objects.filter(pk=fourth.pk).update(state="superseded")
    Annotator.objects.filter(pk=third.assignment.annotator_id).update(state="screened_out")
    data = gathered(study)
    assert (data.late_count, data.superseded_count) == (1, 1)
    np.testing.assert_array_equal(data.votes.is_excluded, [True, True, True])
    assert [(row.comparison, row.annotator, row.reason) for row in data.votes.exclusions] == [
        (0, 0, "ten clicks in a row"),
        (0, 2, "annotator screened out"),
        (1, 2, "annotator screened out"),
    ]


def test_while_sealed_neither_scores_nor_models_behind_votes_are_read() -> None:
    study = make_study(Plan(votes=PLAN.votes, scores=PLAN.scores, state="open"))
    with CaptureQueriesContext(connection) as queries:
        data = gathered(study)
    assert [type(part) for part in (data, data.comparisons, data.votes)] == [SealedData, ComparisonArrays, VoteArrays]
    assert all("left_model" not in query["sql"] for query in queries)
    # Scores are compared with the limits of numbers, and not read.
    assert all('"scoring_setscore"."value"' not in query["sql"].partition("WHERE")[0] for query in queries)
    np.testing.assert_array_equal(data.votes.side, [LEFT, LEFT, TIE, LEFT, RIGHT])


def test_a_manifest_may_opt_out_of_sealing() -> None:
    study = make_study(Plan(votes=PLAN.votes, scores=PLAN.scores, state="open", manifest={"sealed": False}))
    assert isinstance(gathered(study), UnsealedData)


def test_the_only_metric_is_taken_and_of_several_one_must_be_named() -> None:
    study = make_study(PLAN)
    assert gathered(study).metric == current_manifest(study).encoder.metric
    SetScore.objects.update(metric="lpips")
    assert gathered(study).metric == "lpips"
    image_set = study.comparisons.get(position=0).image_set_a
    SetScore.objects.create(image_set=image_set, metric="dreamsim", value=1, source="imported")
    with pytest.raises(Refused, match=r"choose one \(dreamsim, lpips\), on the command line with --metric"):
        gathered(study)
    assert gathered(study, metric="dreamsim").comparisons.is_scored.tolist() == [False, False]
    with pytest.raises(Refused, match="no scores by the metric 'vibes'"):
        gathered(study, metric="vibes")


def test_a_study_without_comparisons_gives_empty_arrays() -> None:
    study = make_study(Plan(votes=[], scores=[], state="draft", manifest={"sealed": False}))
    data = gathered(study)
    assert len(data.comparisons) == len(data.votes) == 0


def test_a_withdrawal_leaves_the_report_with_its_count_alone() -> None:
    study = make_study(PLAN)
    leaving = study.annotators.order_by("pk").first()
    assert leaving is not None
    own = Vote.objects.filter(assignment__annotator=leaving).count()
    before = gathered(study)
    withdraw(annotator=leaving, until=None, now=timezone.now())
    after = gathered(study)
    assert own > 0
    assert (len(after.votes), [stone.votes for stone in after.tombstones]) == (len(before.votes) - own, [own])
    found = counts(after)
    assert (found.withdrawn_annotators, found.withdrawn_votes) == (1, own)
    assert found.votes == counts(before).votes - own


def test_of_more_embeddings_than_a_report_reads_none_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(Plan([["A"], ["B"]], [(2.0, 1.0), (1.0, 2.0)]))
    for comparison in study.comparisons.all():
        embed(comparison, spread_a=0.5, spread_b=0.5, images=4)
    monkeypatch.setattr(similarities, "MOST_EMBEDDINGS", 15)
    with CaptureQueriesContext(connection) as asked:
        data = unsealed(study)
    assert data.similarities.reason.startswith("more than 15 images")
    assert not [query["sql"] for query in asked if '"vector"' in query["sql"]]
    monkeypatch.setattr(similarities, "MOST_EMBEDDINGS", 16)
    assert len(unsealed(study).similarities.comparison) == 2


@pytest.mark.both_databases
@pytest.mark.parametrize("value", [1e300, -1e51, float("inf"), float("-inf"), float("nan")])
def test_a_stored_number_that_cannot_be_a_score_is_missing_and_named(value: float) -> None:
    study = make_study(Plan([["A"], ["B"], ["A"], ["B"]], [(2, 1), (1, 2), (2, 1), (1, 3)]))
    score = SetScore.objects.order_by("pk")[1]
    stored = SetScore.objects.filter(pk=score.pk)  # as a database of before the limit may hold it
    if np.isnan(value) and connection.vendor == "sqlite":
        with pytest.raises(IntegrityError):  # NaN is NULL there
            stored.update(value=value)
        return
    stored.update(value=value)
    data = unsealed(study)
    assert data.comparisons.is_scored.tolist() == [False, True, True, True]
    assert np.isfinite(data.margin()[1:]).all()
    assert data.unusable_scores == (f"“{data.comparisons.prompt[0]}” by {score.metric}",)
    assert (
        "1 stored score is not a finite number up to 1e+50, so it counts as missing: "
        f"{data.unusable_scores[0]}. Take the scores back and import or compute them again."
    ) in build_report(data).notices
    assert [row.missing for row in list_comparisons(study, manifest=data.manifest).rows] == ["scores", "", "", ""]
