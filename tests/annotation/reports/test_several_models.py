"""The report of several models: its ranking, its fixed order, its words, and the report of each pair."""

import json
import re
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize

from annotation.reports.data.pairs import of_pair, pair_of
from annotation.reports.data.study_data import MODEL_A, MODEL_B, TIE, UnsealedData
from annotation.reports.findings import ranking, sides
from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.ranking import Ranking
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import from_json, to_json
from annotation.reports.report import build_report
from annotation.reports.report_jobs.downloads import render
from annotation.reports.sections import verdict
from annotation.reports.sections.contents import figures_of, sections
from annotation.reports.sections.ranking import paragraphs
from jobs.refusals import Refused
from tests.annotation.reports.many_models import NAMES, Simulated, simulated_data
from tests.annotation.reports.readable import readable

STUDY = Simulated(prompts=8, quality=(-0.5, 1.2, 0.2, -1.0), annotators=7)  # the best model is the second of the file


@pytest.fixture(scope="module")
def data() -> UnsealedData:
    return simulated_data(STUDY)


@pytest.fixture(scope="module")
def report(data: UnsealedData) -> AgreementReport:
    return readable(build_report(data))


def ranking_of(data: UnsealedData) -> Ranking:
    order = sides.fixed_order(data)
    assert order
    return ranking.compute(analyse(sides.by_order(data, order), order=order), order)


def test_people_s_ranking_is_the_maximum_of_the_likelihood_written_down_again(data: UnsealedData) -> None:
    """Bradley-Terry with ties and a side effect, by another optimiser on votes one by one."""
    rows, votes = data.comparisons, data.votes
    pair = np.stack([rows.model_a, rows.model_b])[:, votes.comparison]
    left, right = np.where(votes.left == MODEL_A, pair, pair[::-1])
    chosen_left = (votes.choice != TIE) & (votes.choice == votes.left)

    def loss(point: np.ndarray) -> float:
        strength, tie, side = np.exp(point[:4] - point[:4].mean()), np.exp(point[4]), np.exp(point[5])
        first, second = side * strength[left], strength[right]
        both = tie * np.sqrt(strength[left] * strength[right])
        weight = np.where(votes.choice == TIE, both, np.where(chosen_left, first, second))
        return float(-np.log(weight / (first + second + both)).sum())

    best = minimize(loss, np.zeros(6), tol=1e-12).x
    found = ranking_of(data)
    expected = dict(zip(NAMES, best[:4] - best[:4].mean(), strict=False))
    assert {model.name: model.strength.value for model in found.models} == pytest.approx(expected, abs=1e-4)
    assert [model.name for model in found.models] == sorted(expected, key=lambda name: -expected[name])
    assert found.side is not None
    assert [found.ties.value, found.side.value] == pytest.approx(np.exp(best[4:]).tolist(), abs=1e-3)
    assert sum(pair.votes for pair in found.pairs) == len(votes) == found.votes == found.all_votes


def test_the_metric_s_ranking_is_that_of_its_means_and_tau_counts_pairs(report: AgreementReport) -> None:
    assert report.results
    assert report.results.ranking
    scores: dict[str, set[float]] = {}
    for row in report.results.comparisons:
        scores.setdefault(row.model_a, set()).add(row.score_a or 0)
        scores.setdefault(row.model_b, set()).add(row.score_b or 0)
    models = report.results.ranking.models
    assert {model.name: model.mean_score.value for model in models} == pytest.approx(
        {name: np.mean(sorted(values)) for name, values in scores.items()}
    )
    means = [model.mean_score.value or 0 for model in models]
    alike = sum(np.sign(means[i] - means[j]) for i in range(4) for j in range(i + 1, 4))
    tau = report.results.ranking.concordance.tau
    assert tau.value == pytest.approx(alike / 6)
    assert report.results.ranking.population == tau.population == "annotators like these"
    assert "In brackets: 95 % sets of ranks, for annotators like these. Kendall's tau" in report.claim
    assert f"is {tau.value:.3f} (95 % interval " in report.claim
    assert "for annotators like these are two-way jackknife intervals" in " ".join(render(report, "txt").split())


def test_the_baseline_is_the_best_of_all_orders_and_the_sides_follow_it(report: AgreementReport) -> None:
    assert report.results
    assert report.results.ranking
    rows = report.results.comparisons

    def right(order: tuple[str, ...]) -> int:
        return sum(row.people_model == min(row.model_a, row.model_b, key=order.index) for row in rows)

    names = {model.key: model.name for model in report.results.ranking.models}
    best = tuple(names[key] for key in report.results.ranking.fixed_order)
    assert right(best) == max(map(right, permutations(best)))
    assert all(best.index(row.model_a) < best.index(row.model_b) for row in rows)
    choice = report.results.agreement.constant_choice
    assert choice
    assert choice.strict.models == ("A",)
    assert choice.strict.agreement.value == pytest.approx(right(best) / len(rows))
    agreeing = sum(row.people_model == row.metric_model for row in rows)
    assert report.results.agreement.headline.value == pytest.approx(agreeing / len(rows))
    assert report.results.agreement.clusters
    assert report.results.agreement.clusters.count == STUDY.prompts


# "A" may begin a sentence and stand for an article, "B" for nothing but a model.
SIDE = re.compile(r"[Aa]lways naming|naming one model|\bB\b|(?<![.] )\bA\b(?! (?:set of|new|verdict|metric|coin))")


def test_every_format_names_models_and_none_says_a_or_b(report: AgreementReport) -> None:
    for name in ("html", "latex", "txt"):
        text = re.sub(r"<style.*?</style>", "", render(report, name), flags=re.DOTALL)
        text = re.sub(r"<[^>]+>", " ", text.partition(r"\begin{document}")[2] or text)
        text = re.sub(r"\b[AB]\.(?=,? [A-Z(])|Series B", "", text)  # references
        assert "best fixed order of the models" in text
        assert not SIDE.search(text), name
    assert report.claim.count("best fixed order") == 1
    assert all(name in report.claim for name in NAMES[:4])
    assert "results.ranking.models.strength" in render(report, "csv")
    assert from_json(to_json(report)) == report


def test_the_ranking_comes_first_and_tests_of_two_models_are_left_to_their_pairs(report: AgreementReport) -> None:
    keys = [section.key for section in sections(report)]
    assert keys[0] == "ranking"
    assert "scores" not in keys
    names = [figure.name for figure in figures_of(report)]
    assert names[:3] == ["claim", "ranking", "pairs"]
    assert not {"scores-box", "scores-density", "scores-images"} & set(names)


def test_no_number_depends_on_the_order_of_models_in_the_file(data: UnsealedData) -> None:
    """The same votes of a file that names the models the other way round."""
    k, rows, votes = len(STUDY.quality), data.comparisons, data.votes
    models = dict(reversed(data.manifest.models.items()))
    swapped = np.isin(votes.choice, (MODEL_A, MODEL_B))
    other = replace(
        data,
        manifest=data.manifest.model_copy(update={"models": models}),
        comparisons=replace(
            rows, model_a=k - 1 - rows.model_b, model_b=k - 1 - rows.model_a, score_a=rows.score_b, score_b=rows.score_a
        ),
        votes=replace(votes, choice=np.where(swapped, 1 - votes.choice, votes.choice), left=1 - votes.left),
    )
    before, after = ranking_of(data), ranking_of(other)
    assert [one.name for one in before.models] == [one.name for one in after.models]
    assert before.fixed_order == after.fixed_order
    for one, same in zip(before.models, after.models, strict=True):
        assert one.strength.value == pytest.approx(same.strength.value)
        assert one.strength.low == pytest.approx(same.strength.low)
        assert (one.wins, one.best_rank, one.worst_rank) == (same.wins, same.best_rank, same.worst_rank)
        assert one.mean_score.high == pytest.approx(same.mean_score.high)


def test_two_models_have_no_ranking_and_keep_their_sides() -> None:
    assert sides.fixed_order(simulated_data(Simulated(quality=(0.0, 1.0)))) is None


# --- pairs --------------------------------------------------------------------------------------
def test_a_pair_s_report_is_that_of_a_study_of_its_two_models(data: UnsealedData) -> None:
    pair = pair_of(data.manifest, ("Cyd", "m0"))
    assert pair == "m0,m2"
    found = build_report(of_pair(data, pair))
    is_pair = (data.comparisons.model_a == 0) & (data.comparisons.model_b == 2)
    assert (found.study.model_a, found.study.model_b, found.study.pair) == ("Ada", "Cyd", pair)
    assert found.counts.planned_comparisons == found.counts.analysed_comparisons == is_pair.sum()
    assert found.counts.votes == is_pair[data.votes.comparison].sum()
    assert found.results
    assert found.results.ranking is None
    assert found.results.scores
    rows, places = found.results.comparisons, np.flatnonzero(is_pair)
    assert [row.position - 1 for row in rows] == places.tolist()
    for row, place in zip(rows, places.tolist(), strict=True):
        chosen = data.votes.choice[data.votes.comparison == place]
        assert (row.votes_a, row.votes_b) == ((chosen == MODEL_A).sum(), (chosen == MODEL_B).sum())
        assert row.margin == pytest.approx(data.comparisons.score_a[place] - data.comparisons.score_b[place])
    assert found.notices[0].startswith("One pair of models of several: only the comparisons between Ada and Cyd.")
    assert "scores" in [section.key for section in sections(found)]
    assert json.loads(to_json(found))["study"]["models"] == ["Ada", "Cyd"]


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (("m0", "mo"), "The study has no model 'mo'; its models: m0, m1, m2, m3"),
        (("m0", "m0"), "A pair is two different models"),
        (("m0",), "A pair is two different models"),
        (("m1", "m3"), "The study does not compare m1 with m3"),
    ],
)
def test_a_pair_that_is_none_is_refused(wanted: tuple[str, ...], sentence: str) -> None:
    manifest = replace(STUDY, pairs=((0, 1), (0, 2), (2, 3))).manifest
    with pytest.raises(Refused, match=re.escape(sentence)):
        pair_of(manifest, wanted)
    assert pair_of(manifest, ()) == ""


# --- designs ------------------------------------------------------------------------------------
def test_models_that_never_met_have_no_fit_and_the_report_says_so() -> None:
    found = ranking_of(simulated_data(replace(STUDY, pairs=((0, 1), (2, 3)))))
    assert found.reason == "the models fall into groups that were never compared: Ada, Bob; Cyd, Dan"
    assert found.models[0].strength.value is None
    assert found.rank_method.startswith("sign-flip tests")
    assert found.population == "these annotators"
    assert len(found.pairs) == 2


def test_a_model_that_never_lost_is_named() -> None:
    found = ranking_of(simulated_data(replace(STUDY, quality=(0.0, 40.0, 0.1), votes=2)))
    assert found.reason.startswith("no finite strengths: Bob never lost to")
    assert found.models[0].name == "Bob"


def test_a_design_without_some_pairs_ranks_all_models_by_scores_that_are_there() -> None:
    found = ranking_of(simulated_data(replace(STUDY, pairs=((0, 1), (1, 2), (2, 3)))))
    assert found.reason == ""
    assert found.metric_reason == ""


def test_unknown_sides_leave_the_side_effect_out() -> None:
    found = ranking_of(simulated_data(replace(STUDY, are_sides_known=False)))
    assert (found.side, found.reason) == (None, "")


@pytest.mark.parametrize(
    ("plan", "votes", "why"),
    [
        ({"early_stopping": True, "overlap": 3}, 2, "the study stopped early"),
        ({"allocation": "uncertain_pairs", "overlap": 3, "floor": 1}, 1, "pairs whose order was least certain"),
    ],
)
def test_only_first_votes_count_if_later_ones_depend_on_them(plan: dict[str, object], votes: int, why: str) -> None:
    found = ranking_of(simulated_data(replace(STUDY, settings=(("annotation", {"ties": True, **plan}),))))
    assert found.votes == votes * 6 * STUDY.prompts
    assert found.all_votes == 3 * 6 * STUDY.prompts
    assert why in found.left_out


def test_a_metric_whose_lower_scores_are_more_consistent_ranks_the_other_way_round(data: UnsealedData) -> None:
    order = sides.fixed_order(data)
    assert order
    analysed = analyse(sides.by_order(data, order), order=order)
    turned = replace(analysed, outcome=replace(analysed.outcome, margin=-analysed.outcome.margin))
    before, after = ranking.compute(analysed, order), ranking.compute(turned, order)
    assert after.concordance.tau.value == -(before.concordance.tau.value or 0)
    for one, same in zip(before.models, after.models, strict=True):
        assert (same.metric_best_rank, same.metric_worst_rank) == (
            5 - (one.metric_worst_rank or 0),
            5 - (one.metric_best_rank or 0),
        )


def test_the_metric_s_order_is_that_of_its_mean_scores_also_if_its_sets_of_ranks_are_alike(
    report: AgreementReport,
) -> None:
    assert report.results is not None
    found = report.results.ranking
    assert found is not None
    alike = replace(found, models=tuple(replace(one, metric_best_rank=1, metric_worst_rank=4) for one in found.models))
    names = [one.name for one in sorted(found.models, key=lambda one: one.mean_score.value or 0.0)]
    unsure = replace(report.results, ranking=alike)
    (_, said) = paragraphs(report, unsure)
    assert re.findall(r"(\w+) \(", said.partition("the order is")[2].partition(". Kendall")[0]) == names[::-1]
    lower = replace(report, study=replace(report.study, lower_metrics=(report.study.metric,)))
    (_, said) = paragraphs(lower, unsure)
    assert re.findall(r"(\w+) \(", said.partition("the order is")[2].partition(". Kendall")[0]) == names


def test_votes_that_show_no_order_are_said_to_show_none(data: UnsealedData, report: AgreementReport) -> None:
    assert report.results is not None
    found = report.results.ranking
    assert found is not None
    shown = verdict.lines(report.study, report.counts, data.manifest, report.results)
    assert shown[0].sentence.startswith("The votes of simulated annotators rank Bob (1), ")
    models = tuple(replace(one, best_rank=1, worst_rank=4) for one in found.models)
    pairs = tuple(replace(one, better="") for one in found.pairs)
    unsure = replace(report.results, ranking=replace(found, models=models, pairs=pairs))
    said = verdict.lines(report.study, report.counts, data.manifest, unsure)[0]
    assert said.sentence == "The votes of simulated annotators show no order of the 4 models: each may have any rank."
    assert said.numbers.startswith("By estimated strength: Bob, ")
    assert "Their 95 % sets of ranks are all 1–4, for annotators like these." in said.numbers
    assert "In none of 6 pairs is one model surely better." in paragraphs(report, unsure)[0]
