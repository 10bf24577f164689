"""The explorer's rows, orders and contributions equal the report's numbers, which are computed another way."""

import re

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Annotator, Comparison, Study, Vote
from annotation.reports.explorer.detail import ComparisonDetail, comparison_detail
from annotation.reports.explorer.listing import Listing, list_comparisons
from annotation.reports.explorer.orders import ORDERS, most_telling, pull, select_comparisons, split
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.studies.current import current_manifest
from annotation.voting.slots import recount
from jobs.refusals import Refused
from scoring.consistency import semantic_consistency_score
from scoring.embeddings import embeddings_of
from scoring.models import SetScore
from scoring.statistics.inference.intervals import Resampling
from tests.annotation.reports.voted_studies import Plan, crossed, embed, make_study, report_of
from tests.factories import make_study as closed_study
from tests.factories import named

RESAMPLING = Resampling(resamples=100)


def row(
    position: int, margin: float | None, votes: tuple[int, int, int], agrees: bool | None, prompt: str = ""
) -> ComparisonRow:
    return ComparisonRow(position, prompt, None, None, margin, *votes, None, None, agrees, "")


# --- orders ---------------------------------------------------------------------------------------
ROWS = (
    row(1, 5.0, (4, 1, 0), True, "A red barn"),
    row(2, 9.0, (0, 5, 0), False, "a red hut"),
    row(3, -1.0, (3, 2, 0), False, "a mill"),
    row(4, 2.0, (2, 2, 1), False, "a tower"),
    row(5, None, (5, 0, 0), None, "an inn"),
    row(6, 0.5, (0, 0, 0), None, "a chapel"),
    row(7, 12.0, (5, 0, 0), True, "a barn"),
)


@pytest.mark.parametrize(
    ("order", "positions"),
    [
        # 9 x 5/5, then 1 x 1/5, the one-sided tie, the same winner by rising pull, then those without votes or scores.
        ("disagreement", [2, 3, 4, 1, 7, 5, 6]),
        ("margin", [7, 2, 1, 4, 3, 6, 5]),
        ("close", [6, 3, 4, 1, 2, 7, 5]),
        ("split", [4, 3, 1, 2, 5, 7, 6]),
        ("position", [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_each_order(order: str, positions: list[int]) -> None:
    assert [one.position for one in select_comparisons(ROWS, by=order)] == positions


def test_split_is_the_share_of_pairs_of_votes_that_differ() -> None:
    assert split(row(1, 1.0, (2, 2, 1), True)) == pytest.approx(8 / 10)  # 10 pairs, 2 of them alike
    assert split(row(1, 1.0, (1, 0, 0), True)) == 0
    assert pull(row(1, 4.0, (1, 3, 0), False)) == pytest.approx(2.0)


def test_choices_and_words() -> None:
    assert [one.position for one in select_comparisons(ROWS, show="disagree", by="position")] == [2, 3, 4]
    assert [one.position for one in select_comparisons(ROWS, show="missing", by="position")] == [5, 6]
    assert [one.position for one in select_comparisons(ROWS, words="RED barn", by="position")] == [1]
    with pytest.raises(KeyError):
        select_comparisons(ROWS, by="nothing")


@given(st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 5), st.integers(0, 5)), max_size=60), st.randoms())
def test_an_order_does_not_depend_on_the_order_given(
    table: list[tuple[float, int, int]], random: "np.random.Generator"
) -> None:
    rows = [
        row(place, margin, (a, b, 0), (a > b) == (margin > 0) if a + b else None)
        for place, (margin, a, b) in enumerate(table, start=1)
    ]
    shuffled = list(rows)
    random.shuffle(shuffled)
    for order in ORDERS:
        assert select_comparisons(shuffled, by=order) == select_comparisons(rows, by=order)
    assert most_telling(shuffled) == most_telling(rows)


def test_the_most_telling_are_thirty_without_repetition_each_with_why() -> None:
    rows = [row(place, float(place if place % 4 else -place), (3, 2, 0), place % 4 > 0) for place in range(1, 101)]
    telling = most_telling(rows)
    assert len({one.position for one, _ in telling}) == 30
    assert telling[0][0].position == 100
    assert telling[0][1] == "votes and metric disagree"
    assert {why for _, why in telling} == {"votes and metric disagree", "split votes", "large margin"}
    assert len(most_telling(ROWS)) == 5


# --- rows -----------------------------------------------------------------------------------------
def listed(study: Study, **named: str) -> Listing:
    return list_comparisons(study, manifest=current_manifest(study), **named)


def weather() -> Study:
    """A study with ties, missing scores and votes, an excluded vote, and an annotator who was screened out."""
    study = make_study(
        Plan(
            votes=[["A", "A", "B", "B"], ["B", "A", "tie", "A"], ["B", "B", "B", ""], []],
            scores=[(80.0, 70.0), (60.0, 65.0), (60.0, None), (1.0, 2.0)],
            prompts=["one", "two", "three", "four"],
        )
    )
    first, *_, last = study.annotators.order_by("pk")
    Vote.objects.filter(assignment__annotator=first, assignment__comparison__position=0).update(
        excluded_at=study.closed_at, exclusion_reason="failed the check"
    )
    Annotator.objects.filter(pk=last.pk).update(state="screened_out")
    recount(list(study.comparisons.values_list("pk", flat=True)))
    return study


@pytest.mark.django_db
def test_the_rows_are_the_report_s() -> None:
    study = weather()
    report = report_of(study)
    assert report.results is not None
    for _ in range(2):
        assert listed(study).rows == report.results.comparisons


@pytest.mark.django_db
@pytest.mark.parametrize("count", [5, 60])
def test_the_list_costs_the_same_queries_however_long_it_is(count: int) -> None:
    study = make_study(crossed([[count, 0], [0, 0]], voters=2))
    manifest = current_manifest(study)
    with CaptureQueriesContext(connection) as queries:
        assert len(list_comparisons(study, manifest=manifest).rows) == count
    assert len(queries) == 6
    assert not [query["sql"] for query in queries if "annotation_vote" in query["sql"]]


@pytest.mark.django_db
def test_the_rows_are_computed_once_until_votes_or_scores_change() -> None:
    study = make_study(crossed([[3, 1], [0, 0]], voters=2))
    rows = listed(study).rows
    assert listed(study).rows is rows
    Vote.objects.filter(assignment__comparison__position=0).delete()
    recount([study.comparisons.get(position=0).pk])
    without = listed(study).rows
    assert (rows[0].votes_a, without[0].votes_a, without[1:]) == (2, 0, rows[1:])
    SetScore.objects.filter(image_set__in=study.comparisons.filter(position=1).values("image_set_b")).delete()
    assert [row.score_b is None for row in listed(study).rows] == [False, True, False, False]


@pytest.mark.django_db
def test_a_sealed_study_is_not_explored() -> None:
    study = make_study(crossed([[4, 1], [1, 4]], state="open"))
    with pytest.raises(Refused, match="sealed until it closes"):
        listed(study)
    opted_out = make_study(Plan([["A"]], [(2.0, 1.0)], slug="seen", state="open", manifest={"sealed": False}))
    assert listed(opted_out).rows


# --- one comparison -------------------------------------------------------------------------------
def seen(comparison: Comparison, metric: str) -> ComparisonDetail:
    rows = listed(comparison.study, metric=metric).rows
    return comparison_detail(comparison, rows[comparison.position], metric=metric, resampling=RESAMPLING)


def embedded(images: int = 5) -> tuple[Comparison, str]:
    """Return a comparison of embedded images, scored from them, and the metric."""
    study = make_study(Plan([["A", "B", "tie"]], [(None, None)]))
    comparison, encoder = study.comparisons.get(), current_manifest(study).encoder
    embed(comparison, spread_a=0.6, spread_b=0.6, images=images)
    for image_set in (comparison.image_set_a, comparison.image_set_b):
        value = semantic_consistency_score(embeddings_of(image_set, encoder.identity))
        SetScore.objects.create(
            image_set=image_set, metric=encoder.metric, value=value, source="computed", image_count=images
        )
    return comparison, encoder.metric


@pytest.mark.django_db
def test_a_contribution_is_the_score_minus_the_score_without_the_image() -> None:
    comparison, metric = embedded()
    shown = seen(comparison, metric)
    scores = [part.score or 0.0 for part in shown.sets]
    turned = 0
    for part, image_set in zip(shown.sets, (comparison.image_set_a, comparison.image_set_b), strict=True):
        vectors = embeddings_of(image_set, metric.removeprefix("scs/"))
        assert len(part.images) == 5
        for place, image in enumerate(part.images):
            without = semantic_consistency_score(np.delete(vectors, place, axis=0))
            assert image.without == pytest.approx(without)
            assert image.contribution == pytest.approx((part.score or 0) - without)
            others = [without, scores[1]] if part.model == "A" else [scores[0], without]
            assert image.changes_winner == ((scores[0] > scores[1]) != (others[0] > others[1]))
            turned += image.changes_winner
        assert sum(image.contribution or 0 for image in part.images) == pytest.approx(0, abs=1e-9)
    assert turned  # else the assertion above never saw a changed winner
    assert shown.noise is not None
    assert shown.noise.margin.n == 5


@pytest.mark.django_db
def test_unknown_contributions_have_a_reason() -> None:
    comparison, metric = embedded(images=2)
    assert "With two images" in seen(comparison, metric).sets[0].reason
    SetScore.objects.create(image_set=comparison.image_set_a, metric="lpips", value=1.0, source="imported")
    shown = seen(comparison, "lpips")
    assert "lpips was computed elsewhere" in shown.sets[0].reason
    assert shown.sets[0].images[0].contribution is None
    assert shown.noise is None
    study = make_study(Plan([["A"]], [(2.0, 1.0)], slug="external"))
    shown = seen(study.comparisons.get(), current_manifest(study).encoder.metric)
    assert "not here" in shown.sets[0].reason


@pytest.mark.django_db
def test_each_vote_has_its_pseudonym_and_the_reason_if_it_does_not_count() -> None:
    study = weather()
    shown = seen(study.comparisons.get(position=0), current_manifest(study).encoder.metric)
    votes = {vote.annotator: vote for vote in shown.votes}
    assert [votes[name].chosen for name in ("P001", "P002", "P003", "P004")] == ["A", "A", "B", "B"]
    assert votes["P001"].excluded == "failed the check"
    assert votes["P004"].excluded == "annotator screened out"
    assert votes["P002"].excluded == ""
    assert votes["P002"].side == "right"  # model A is left if position and annotator add up to even
    assert votes["P003"].seconds == 3.0
    assert (shown.row.votes_a, shown.row.votes_b) == (1, 1)


# --- several models -------------------------------------------------------------------------------
@pytest.mark.django_db
def test_of_several_models_the_explorer_names_them_and_lists_one_pair(admin_client: Client) -> None:
    study = closed_study(state="closed", comparisons=2, models=named("Kite", "Lamp", "Moth"))
    first = study.comparisons.earliest("position")
    page = admin_client.get(f"/studies/{study.slug}/comparisons/").content.decode()
    assert "Kite against Moth" in page
    assert "6 of 6 comparisons" in page
    assert "0 for Kite, 0 for Lamp" in page
    assert not re.search(r">[AB]<", page)
    own = admin_client.get(f"/studies/{study.slug}/comparisons/?pair=a,c").content.decode()
    assert "2 of 6 comparisons" in own
    assert "0 for Kite, 0 for Moth" in own
    assert "for Lamp" not in own
    assert "?pair=a%2Cc" in own  # the page of a comparison keeps it
    assert "6 of 6" in admin_client.get(f"/studies/{study.slug}/comparisons/?pair=c,z").content.decode()
    one = admin_client.get(f"/studies/{study.slug}/comparisons/{first.position + 1}/?pair=a,b").content.decode()
    assert "1 of 2" in one
    assert re.search(r"names (Kite|Lamp), by", one)
    assert "There are no votes" in one
    assert not re.search(r">[AB]<", one)


@pytest.mark.django_db
def test_of_two_models_the_explorer_has_letters_and_no_choice_of_pairs(admin_client: Client) -> None:
    study = closed_study(state="closed", comparisons=1)
    page = admin_client.get(f"/studies/{study.slug}/comparisons/").content.decode()
    assert 'name="pair"' not in page
    assert "0 for A, 0 for B" in page
