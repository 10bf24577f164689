"""The report against a recount from the exported votes and scores, in plain loops and independent libraries."""

import csv
import json
import random
from collections import Counter, defaultdict
from io import StringIO
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from django.core.management import call_command
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, matthews_corrcoef
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from annotation.studies.current import current_manifest
from scoring.models import SetScore
from tests.annotation.reports.voted_studies import Plan, make_study

pytestmark = pytest.mark.django_db

SIGN = {"Alpha": 1, "Beta": -1, "": 0}


@pytest.fixture
def counted(tmp_path: Path) -> tuple[dict[str, Any], list[tuple[Counter[int], float]]]:
    """The JSON report of a study of 40 comparisons, and from its files alone: votes by sign and margin by prompt."""
    rng = random.Random(7)
    votes, scores = [], []
    for _ in range(40):
        lean = rng.gauss(0.4, 1)
        votes.append([rng.choice(["tie", ""]) if rng.random() < 0.2 else _choice(rng, lean) for _ in range(5)])
        scores.append((80 + lean + rng.gauss(0, 0.7), 80.0) if rng.random() > 0.1 else (81.5, 81.5))
    study = make_study(Plan(votes, scores, manifest={"annotation": {"ties": True}}))
    call_command("report", "weather", format="json", out=tmp_path / "report.json", stdout=StringIO())
    call_command("export_votes", "weather", out=tmp_path / "votes.csv", stdout=StringIO())
    signs: dict[str, Counter[int]] = defaultdict(Counter)
    with (tmp_path / "votes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            signs[row["prompt"]][SIGN[row["chosen_model"]]] += 1
    margins = {}
    for comparison in study.comparisons.all():
        scored = SetScore.objects.filter(metric=current_manifest(study).encoder.metric)
        a, b = (scored.get(image_set=pk).value for pk in (comparison.image_set_a_id, comparison.image_set_b_id))
        margins[comparison.prompt.text] = a - b
    return json.loads((tmp_path / "report.json").read_text()), [(signs[p], margins[p]) for p in margins if signs[p]]


def _choice(rng: random.Random, lean: float) -> str:
    return "A" if rng.random() < 1 / (1 + np.exp(-2 * lean)) else "B"


def _winners(rows: list[tuple[Counter[int], float]]) -> list[tuple[int, int]]:
    return [(int(np.sign(votes[1] - votes[-1])), int(np.sign(margin))) for votes, margin in rows]


def test_agreement_baseline_and_mcnemar_equal_the_recount(counted: Any) -> None:
    report, rows = counted
    winners = _winners(rows)
    n, agreeing = len(winners), sum(people == metric for people, metric in winners)
    reported = report["results"]["agreement"]
    assert reported["headline"] == reported["strict"]["wilson"]
    assert reported["headline"]["n"] == n
    assert reported["headline"]["value"] == pytest.approx(agreeing / n)
    for name, method in (("wilson", "wilson"), ("clopper_pearson", "beta")):
        low, high = proportion_confint(agreeing, n, method=method)
        assert [reported["strict"][name][bound] for bound in ("low", "high")] == pytest.approx([low, high])
    one_sided = sum((people == 0) != (metric == 0) for people, metric in winners)
    assert reported["half"]["bootstrap"]["value"] == pytest.approx((agreeing + one_sided / 2) / n)
    decided = [(people, metric) for people, metric in winners if people and metric]
    assert reported["dropped"]["wilson"]["n"] == len(decided) < n
    assert reported["dropped"]["wilson"]["value"] == pytest.approx(sum(p == m for p, m in decided) / len(decided))
    wins = Counter(people for people, _ in winners)
    pick = 1 if wins[1] > wins[-1] else -1
    assert report["results"]["baseline"]["models"] == [{1: "A", -1: "B"}[pick]]
    assert report["results"]["baseline"]["agreement"]["value"] == pytest.approx(wins[pick] / n)
    only_metric = sum(people == metric != pick for people, metric in winners)
    only_pick = sum(people == pick != metric for people, metric in winners)
    oracle = mcnemar([[0, only_metric], [only_pick, 0]], exact=True).pvalue
    assert report["results"]["baseline"]["mcnemar"]["p_value"] == pytest.approx(oracle)


def test_chance_corrected_agreement_and_the_confusion_equal_the_recount(counted: Any) -> None:
    report, rows = counted
    winners = _winners(rows)
    people, metric = zip(*[(p, m) for p, m in winners if p and m], strict=True)
    chance = report["results"]["chance_corrected"]
    assert chance["kappa"]["value"] == pytest.approx(cohen_kappa_score(people, metric))
    assert chance["kappa_with_ties"]["value"] == pytest.approx(cohen_kappa_score(*zip(*winners, strict=True)))
    assert chance["matthews"]["value"] == pytest.approx(matthews_corrcoef(people, metric))
    assert chance["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(people, metric))
    table = [[sum(w == (p, m) for w in winners) for m in (1, -1, 0)] for p in (1, -1, 0)]
    assert report["results"]["confusion"] == {"labels": ["A", "B", "tie"], "counts": table}


def test_reliability_and_leave_one_out_equal_the_recount(counted: Any) -> None:
    report, rows = counted
    reliability = report["results"]["reliability"]
    counts = np.array([[votes[1], votes[-1], votes[0]] for votes, _ in rows])
    assert reliability["alpha"]["value"] == pytest.approx(
        krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    )
    assert reliability["alpha_without_ties"]["value"] == pytest.approx(
        krippendorff.alpha(value_counts=counts[:, :2][counts[:, :2].sum(axis=1) > 0], level_of_measurement="nominal")
    )
    pairs = []
    for votes, _ in rows:
        k = votes.total()
        if k > 1:
            pairs.append(sum(c * (c - 1) for c in votes.values()) / (k * (k - 1)))
    assert reliability["pairwise_agreement"]["value"] == pytest.approx(np.mean(pairs))
    people, metric = [], []
    for votes, margin in rows:
        if votes.total() < 2:
            continue
        own, its = [], []
        for choice in votes.elements():
            others = votes - Counter([choice])
            target = np.sign(others[1] - others[-1])
            own.append(1 - abs(choice - target) / 2)
            its.append(1 - abs(np.sign(margin) - target) / 2)
        people.append(np.mean(own))
        metric.append(np.mean(its))
    reported = report["results"]["leave_one_out"]["by_comparison"]
    assert reported["people"]["value"] == pytest.approx(np.mean(people))
    assert reported["metric"]["value"] == pytest.approx(np.mean(metric))
    assert reported["difference"]["value"] == pytest.approx(np.mean(metric) - np.mean(people))


def test_score_tests_equal_scipy(counted: Any) -> None:
    report, _ = counted
    scores = report["results"]["scores"]
    pairs = [(row["score_a"], row["score_b"]) for row in report["results"]["comparisons"]]
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    assert scores["model_a"]["mean"] == pytest.approx(a.mean())
    assert scores["model_a"]["standard_deviation"] == pytest.approx(a.std(ddof=1))
    assert scores["model_b"]["median"] == pytest.approx(np.median(b))
    assert scores["kolmogorov_smirnov"]["statistic"] == pytest.approx(stats.ks_2samp(a, b).statistic)
    assert scores["wilcoxon"]["test"]["statistic"] == pytest.approx(stats.wilcoxon(a - b).statistic)


def test_the_claim_carries_the_recounted_agreement(counted: Any) -> None:
    report, rows = counted
    winners = _winners(rows)
    agreeing = sum(people == metric for people, metric in winners)
    share = agreeing / len(winners)
    assert f" on {agreeing} of {len(winners)} comparisons. {100 * share:.1f} %, " in report["claim"]
