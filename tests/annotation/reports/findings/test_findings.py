"""What the report finds beyond the headline, against values known beforehand or recomputed the long way."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from annotation.models import Comparison, Study
from annotation.reports.bundle.study_files import from_files, to_files
from annotation.reports.data.study_data import LEFT, RIGHT, TIE, UNKNOWN, SealedData
from annotation.reports.figures.draw import draw
from annotation.reports.findings.budgets import FewerImages
from annotation.reports.findings.study.planning import HIGH_END, LOW_END
from annotation.reports.findings.study.quality import longest_run
from annotation.reports.formats.plain_text import to_text
from annotation.reports.printing.numbers import percent
from annotation.reports.report import build_report
from annotation.reports.report_jobs.report_cache import fingerprint
from annotation.reports.sections.contents import figures_of, sections
from annotation.studies.current import current_manifest
from scoring.embeddings import embeddings_of
from scoring.models import SetScore
from scoring.statistics.scores.seed_noise import fresh_seeds
from scoring.statistics.studies.power import PairedTest, needed_for_difference
from tests.annotation.reports.voted_studies import (
    Plan,
    crossed,
    embed,
    gathered,
    make_study,
    report_of,
    results_of,
    unsealed,
)

pytestmark = pytest.mark.django_db


def embedded_study(state: str = "closed") -> Study:
    """Three comparisons with images; A is the tighter set by far, then by little, then by far again."""
    study = make_study(Plan([["A", "A"]] * 4, [(2.0, 1.0)] * 4, state=state))
    spreads = ((0.05, 0.9), (0.3, 0.31), (0.05, 0.9))
    for comparison, (spread_a, spread_b) in zip(study.comparisons.order_by("position"), spreads, strict=False):
        embed(comparison, spread_a=spread_a, spread_b=spread_b)
    return study


def test_similarities_are_those_of_the_embeddings_and_only_where_both_sets_have_them() -> None:
    study = embedded_study()
    similarities = unsealed(study).similarities
    assert similarities.comparison.tolist() == [0, 1, 2]
    first = study.comparisons.earliest("position")
    vectors = embeddings_of(first.image_set_b, current_manifest(study).encoder.identity).astype(np.float64)
    cosine = vectors[0] @ vectors[2] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[2])
    assert similarities.b[0, 0, 2] == pytest.approx(max(100 * cosine, 0.0))


def test_sets_of_other_seeds_are_not_paired() -> None:
    study = embedded_study()
    first: Comparison = study.comparisons.earliest("position")
    first.image_set_a.images.filter(seed=3).update(seed=99)
    similarities = unsealed(study).similarities
    assert similarities.comparison.tolist() == [1, 2]


def test_similarities_and_margins_are_sealed() -> None:
    study = embedded_study(state="open")
    assert type(gathered(study)) is SealedData


OTHER = "scs/other"


def study_of_two_encoders() -> Study:
    """The embedded study, its first two comparisons embedded and scored by another encoder, too."""
    study = embedded_study()
    for comparison in study.comparisons.order_by("position")[:2]:
        embed(comparison, spread_a=0.4, spread_b=0.2, metric=OTHER)
        for image_set, value in ((comparison.image_set_a, 70.0), (comparison.image_set_b, 80.0)):
            SetScore.objects.create(image_set=image_set, metric=OTHER, value=value, source="imported")
    return study


def test_every_encoder_has_its_scores_by_number_of_images_as_in_its_own_report() -> None:
    study = study_of_two_encoders()
    report = report_of(study)
    own = results_of(study, metric=OTHER)
    assert report.results is not None
    (other,) = report.results.metrics.by_images
    assert (other.metric, other.comparisons) == (OTHER, 2)
    noise = own.image_noise
    assert other.fewer == FewerImages(noise.by_images, noise.scores_a, noise.scores_b)
    assert [row.images for row in other.fewer.by_images] == [2, 3, 4]
    (section,) = [one for one in sections(report) if one.key == "metrics"]
    assert section.tables[-1].caption.startswith("SCS (other), had there been fewer images: 2 comparisons")
    assert [row[0] for row in section.tables[-1].rows] == ["2", "3", "4"]


def test_a_metric_without_embeddings_has_none() -> None:
    study = study_of_two_encoders()
    SetScore.objects.filter(metric=OTHER).update(metric="lpips")
    data = unsealed(study)
    assert data.other_similarities == {}
    results = build_report(data).results
    assert results is not None
    assert results.metrics.by_images == ()


def test_the_bundle_s_files_hold_the_similarities_of_every_encoder() -> None:
    study = study_of_two_encoders()
    data = unsealed(study)
    files = to_files(data)
    assert "other_similarities/1/a.npy" in files
    assert fingerprint(from_files(files.__getitem__, current_manifest(study))) == fingerprint(data)


def test_image_noise_tells_clear_margins_from_doubtful_ones() -> None:
    study = embedded_study()
    results = results_of(study)
    noise = results.image_noise
    assert (noise.images, noise.comparisons, noise.doubtful) == (4, 3, 1)
    assert [row.position for row in noise.margins] == [1, 2, 3]
    assert [row.flip is not None and row.flip > 0.05 for row in noise.margins] == [False, True, False]
    assert noise.agreement_where_clear.n == 2
    fresh = noise.fresh_seeds
    assert fresh is not None
    chances = [row.other_winner for row in noise.margins]
    margins = np.array([(row.margin.value, row.standard_error) for row in noise.margins], dtype=np.float64)
    expected = fresh_seeds(margins[:, 0], margins[:, 1], seeds=4)
    assert chances == pytest.approx(expected.other_winner.tolist())
    assert fresh.other_winners == pytest.approx(np.mean(expected.other_winner))
    assert fresh.doubtful == sum(chance is not None and chance > 0.05 for chance in chances)
    assert fresh.agreement_where_clear.n == 3 - fresh.doubtful
    assert (fresh.agreement.value, fresh.agreement.n) == (results.agreement.headline.value, 3)
    assert [row.images for row in noise.by_images] == [2, 3, 4]
    assert noise.by_images[-1].same_winner.value == 1.0


def test_agreement_by_number_of_images_is_drawn_where_there_are_images() -> None:
    study = embedded_study()
    report = report_of(study)
    assert "images" in [figure.name for figure in figures_of(report)]
    assert "winner as with all" in draw(report, "images")
    without = report_of(make_study(Plan([["A"]], [(2.0, 1.0)], slug="other")))
    assert "images" not in [figure.name for figure in figures_of(without)]


def test_without_images_the_reason_stands_in_their_place() -> None:
    noise = results_of(make_study(crossed([[5, 1], [1, 5]]))).image_noise
    assert noise.images is None
    assert "embedded images" in noise.reason
    assert noise.agreement_where_clear.reason == noise.reason
    assert noise.fresh_seeds is not None
    assert noise.fresh_seeds.agreement.reason == noise.fresh_seeds.reason == noise.reason


def test_repeats_are_counted_apart_where_fresh_seeds_may_change_the_winner() -> None:
    """The first comparison is repeated by both people, once contradicted; the second, which is doubtful, by one."""
    study = make_study(Plan([["A", "A"]] * 5, [(2.0, 1.0)] * 5))
    for comparison in study.comparisons.order_by("position"):
        embed(comparison, spread_a=0.3, spread_b=0.31 if comparison.position == 1 else 1.5, images=12)
    for position, choices in ((0, ("right", "left")), (1, ("left",))):
        comparison = study.comparisons.get(position=position)
        people = study.annotators.order_by("pk")[: len(choices)]
        for annotator, choice in zip(people, choices, strict=True):
            first = comparison.assignments.get(annotator=annotator)
            shown = {"state": "voted", "leased_at": first.leased_at, "left_model": "b"}
            again = comparison.assignments.create(annotator=annotator, kind="repeat", **shown)
            again.votes.create(choice=choice)
    noise = results_of(study).image_noise
    fresh = noise.fresh_seeds
    assert fresh is not None
    assert [(row.other_winner or 0) > 0.05 for row in noise.margins[:2]] == [False, True]
    assert (fresh.repeats_where_clear.value, fresh.repeats_where_clear.n) == (0.5, 2)
    assert (fresh.repeats_where_doubtful.value, fresh.repeats_where_doubtful.n) == (0.0, 1)
    assert "Repeats that named the same model again, doubtful" in to_text(report_of(study))


def test_fresh_seeds_need_three_comparisons_to_shrink_over_and_the_agreement_does_not() -> None:
    study = make_study(Plan([["A", "A"], ["B", "B"]], [(2.0, 1.0)] * 2))
    for comparison in study.comparisons.order_by("position"):
        embed(comparison, spread_a=0.1, spread_b=0.5)
    noise = results_of(study).image_noise
    assert noise.fresh_seeds is not None
    assert noise.fresh_seeds.reason == "fewer than 3 comparisons with embedded images"
    assert [row.other_winner for row in noise.margins] == [None, None]
    assert noise.fresh_seeds.agreement.value == 0.5
    text = to_text(report_of(study))
    assert "The chances are undefined: fewer than 3 comparisons with embedded images." in " ".join(text.split())


def test_the_bootstrap_bars_hold_every_resample_once() -> None:
    bars = results_of(make_study(crossed([[16, 2], [1, 15]]))).sensitivity.bootstrap
    assert sum(bar.resamples for bar in bars) == 200
    assert all(first.high == pytest.approx(second.low) for first, second in pairwise(bars))


def test_always_naming_a_model_stands_beside_the_metric_in_the_alternative_annotator_test() -> None:
    contestants = results_of(make_study(crossed([[31, 0], [0, 4]]))).people.alternative_annotator
    by_name = {(row.contestant, row.tolerance): row for row in contestants}
    assert by_name["metric", 0.1].winning_rate == 1.0
    assert by_name["metric", 0.1].advantage == 1.0
    assert by_name["always A", 0.1].advantage == pytest.approx(31 / 35)
    assert {row.annotator for row in by_name["random", 0.0].annotators} == {"P001", "P002", "P003"}


def test_fragility_of_a_known_table() -> None:
    votes = [["A"] * 3 + ["B"] * 2, ["A"] * 3 + ["B"] * 2, ["A"] * 5, ["B"] * 3 + ["A"] * 2, ["A", "A", "B", "B", ""]]
    fragile = results_of(make_study(Plan(votes, [(2.0, 1.0)] * 5))).fragility
    assert fragile.lead
    assert (fragile.lead.leader, fragile.lead.lead) == ("A", 2)
    assert (fragile.lead.to_lose.votes, fragile.lead.to_reverse.votes) == (2, 3)
    assert len(fragile.without_each) == 5


def test_a_next_study_is_planned_for_assumed_differences_and_for_both_ends_of_the_one_observed() -> None:
    planning = results_of(make_study(crossed([[80, 5], [1, 14]]))).planning  # 94 of 100 against 85 of 100
    assert planning is not None
    assert (planning.differing.value, planning.design_effect, planning.comparisons) == (0.19, 1.0, 100)
    assert [row.origin for row in planning.rows] == [*["assumed"] * 5, LOW_END, HIGH_END]
    low, high = planning.rows[-2:]
    assert low.difference < 0.09 < high.difference
    needed = [row.comparisons or 0 for row in planning.rows[:5]]
    assert needed == sorted(needed, reverse=True)
    assert low.comparisons is not None
    assert high.comparisons is not None
    assert low.comparisons > 10 * high.comparisons, "what one would plan by taking an observation as the truth"
    assert planning.shown_from is not None
    test = PairedTest(planning.differing.high or 0)
    assert test.power(100, planning.shown_from) >= 0.8 > test.power(100, planning.shown_from - 0.001)


def test_the_manifest_may_fix_the_difference_that_is_planned_for() -> None:
    plan = replace(crossed([[80, 5], [1, 14]]), manifest={"analysis": {"resamples": 200, "assumed_difference": 0.12}})
    planning = results_of(make_study(plan)).planning
    assert planning is not None
    assert [(row.difference, row.origin) for row in planning.rows[:-2]] == [(0.12, "fixed in the manifest")]
    assert planning.rows[0].comparisons == needed_for_difference(
        PairedTest(planning.differing.high or 0), difference=0.12
    )


def test_clusters_cost_the_design_effect_and_six_of_them_are_the_least() -> None:
    """Twelve clusters of five, each alike within: they tell as much as twelve comparisons."""
    plan = crossed([[40, 0], [0, 20]])
    clustered = replace(plan, clusters=[str(index // 5) for index in range(60)])
    planning, alone = (
        results_of(make_study(clustered)).planning,
        results_of(make_study(replace(plan, slug="alone"))).planning,
    )
    assert planning is not None
    assert alone is not None
    assert planning.design_effect > 4
    assert planning.shown_from is None or alone.shown_from is None or planning.shown_from > alone.shown_from
    for row in planning.rows:
        assert row.comparisons is None or row.comparisons >= 30
    few = replace(plan, clusters=[str(index // 12) for index in range(60)], slug="few")
    of_five = results_of(make_study(few)).planning
    assert of_five is not None
    assert of_five.shown_from is None, "five clusters allow no verdict"


def test_nothing_analysed_leaves_nothing_to_plan_with() -> None:
    planning = results_of(make_study(Plan([[""]], [(2.0, 1.0)]))).planning
    assert planning is not None
    assert (planning.rows, planning.shown_from, planning.comparisons) == ((), None, 0)
    assert planning.differing.reason


def test_the_metric_in_the_place_of_a_person_has_a_verdict_only_if_the_manifest_fixed_a_margin() -> None:
    rng = np.random.default_rng(2)
    votes = [["A" if chance < 0.8 else "B" for chance in rng.random(8)] for _ in range(30)]
    plan = Plan(votes, [(2.0, 1.0)] * 30)
    found = results_of(make_study(plan))
    assert found.non_inferiority is None
    named = replace(plan, slug="named", manifest={"analysis": {"resamples": 200, "person_margin": 0.2}})
    report = report_of(make_study(named))
    assert report.results is not None
    verdict, single = report.results.non_inferiority, report.results.single_votes
    assert verdict is not None
    assert single is not None
    assert (verdict.margin, verdict.verdict, verdict.difference) == (0.2, "shown", single.difference)
    text = " ".join(to_text(report).split())
    assert "is shown to fall short of one more person by less than 20 points, if at all" in text
    assert "is shown to fall short of one more person by less than 20 points, if at all" in report.claim
    assert "The metric in the place of a person" not in to_text(report_of(make_study(replace(plan, slug="again"))))


def test_several_metrics_are_compared_on_the_comparisons_that_all_of_them_scored() -> None:
    study = make_study(crossed([[6, 2], [1, 6]]))
    for comparison in study.comparisons.exclude(position=0):
        comparison.image_set_a.scores.create(metric="lpips", value=2.0, source="imported")
        comparison.image_set_b.scores.create(metric="lpips", value=1.0, source="imported")
    results = results_of(study)
    own, other = results.metrics.metrics
    assert (own.agreement.value, own.agreement.n) == (12 / 15, 15)
    assert (other.metric, other.agreement.value, other.agreement.n) == ("lpips", 7 / 14, 14)
    (pair,) = results.metrics.pairs
    assert results.metrics.common_comparisons == pair.difference.n == 14
    assert pair.difference.value == pytest.approx(11 / 14 - 7 / 14)
    assert pair.adjusted == pair.permutation.p_value


def test_headlines_with_the_excluded_votes_are_those_of_the_whole_study() -> None:
    plan = crossed([[5, 1], [1, 5]])
    study = make_study(plan)
    whole = results_of(study)
    votes = study.annotators.earliest("pk").assignments.all()
    for assignment in votes:
        assignment.votes.update(excluded_at=study.closed_at, exclusion_reason="failed the check")
    results = results_of(study)
    assert whole.with_excluded_votes is None
    assert results.with_excluded_votes is not None
    assert results.with_excluded_votes.alpha == whole.reliability.alpha
    assert results.with_excluded_votes.people == whole.people.leave_one_out.by_comparison.people
    assert results.with_excluded_votes.baseline == whole.agreement.baseline.agreement


@pytest.mark.parametrize(
    ("sides", "length", "probability"),
    [
        ([LEFT] * 10, 10, 2 / 2**10),
        ([LEFT, LEFT, TIE, LEFT, RIGHT], 2, 14 / 16),
        ([UNKNOWN, UNKNOWN, TIE], 0, None),
        ([], 0, None),
    ],
)
def test_longest_run(sides: list[int], length: int, probability: float | None) -> None:
    run = longest_run(np.array(sides, dtype=np.int8))
    assert run.length == length
    assert run.probability == (None if probability is None else pytest.approx(probability))


@pytest.mark.parametrize(("margin", "is_equivalent"), [(None, None), (0.9, True), (0.02, False)])
def test_equivalence_is_judged_by_the_margin_that_the_manifest_fixed(
    margin: float | None, is_equivalent: bool | None
) -> None:
    analysis = {"resamples": 200, "equivalence_margin": margin}
    plan = replace(crossed([[30, 2], [1, 26]]), manifest={"analysis": analysis})
    study = make_study(plan)
    for number, comparison in enumerate(study.comparisons.all()):
        comparison.image_set_a.scores.create(metric="lpips", value=2.0 if number % 20 else 0.0, source="imported")
        comparison.image_set_b.scores.create(metric="lpips", value=1.0, source="imported")
    report = report_of(study)
    assert report.results is not None
    (pair,) = report.results.metrics.pairs
    assert (report.results.metrics.equivalence_margin, pair.is_equivalent) == (margin, is_equivalent)
    (section,) = [one for one in sections(report) if one.key == "metrics"]
    _, _, pairs = section.tables
    if margin is None:
        assert "no difference shown is not equality" in section.paragraphs[0]
        assert pairs.head[-1] == "p after Holm"
    else:
        assert pairs.head[-1] == f"Equivalent within {percent(margin)}"
        assert pairs.rows[0][-1] == ("shown" if is_equivalent else "not shown")
