"""Data that the program has never seen, imported from CSV files and reported: every number against `recount`."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, stats
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, matthews_corrcoef
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import fleiss_kappa
from statsmodels.stats.multitest import multipletests

from jobs.wording import counted
from tests.annotation.reports import recount
from tests.annotation.reports.recount import Comparison
from tests.annotation.reports.recounts.unseen_studies import RESAMPLES, SEED, SHAPES, Case, made, share, wilson

pytestmark = pytest.mark.django_db


@pytest.fixture(params=list(SHAPES.values()), ids=list(SHAPES))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return made(request.param, tmp_path)


def test_agreement(case: Case) -> None:
    reported, rows = case.reported["agreement"], case.rows
    assert case.document["counts"]["analysed_comparisons"] == len(rows)
    assert case.document["counts"]["votes"] == sum(len(row.votes) for row in rows)
    decided = [row for row in rows if row.people and row.metric]
    for name, taken in (("strict", rows), ("dropped", decided)):
        agrees = [row.people == row.metric for row in taken]
        share(taken, agrees, reported[name]["wilson"])
        share(taken, agrees, reported[name]["clopper_pearson"], "beta")
    for name, statistic in (("strict", recount.strict), ("half", recount.half), ("dropped", recount.dropped)):
        case.check(reported[name]["bootstrap"], rows, statistic)
    share(rows, [recount.plurality(row) == row.metric for row in rows], reported["plurality"])
    planned, right = len(case.again.everything), sum(row.people == row.metric for row in rows)
    assert reported["bounds"] == pytest.approx(
        {"worst": right / planned, "best": (right + planned - len(rows)) / planned}
    )


def test_baseline_and_chance(case: Case) -> None:
    reported, rows = case.reported, case.rows
    wins = {sign: sum(row.people == sign for row in rows) for sign in (1, -1)}
    pick = max(wins, key=lambda sign: wins[sign])
    assert wins[1] != wins[-1]
    share(rows, [row.people == pick for row in rows], reported["baseline"]["agreement"])
    better, worse = (
        sum(row.people == one(row) != other(row) for row in rows)
        for one, other in (
            (lambda row: row.metric, lambda _row: pick),
            (lambda _row: pick, lambda row: row.metric),
        )
    )
    p_value = mcnemar([[0, better], [worse, 0]], exact=True).pvalue
    assert reported["baseline"]["mcnemar"]["p_value"] == pytest.approx(p_value)
    gains = [float(row.people == row.metric) - float(row.people == pick) for row in rows]
    choice, is_clustered = reported["agreement"]["constant_choice"]["strict"], recount.is_clustered(rows)
    if is_clustered:
        p_value = recount.flipped(rows, gains)
    verdict = ("shown" if better > worse else "shown worse") if p_value < 0.05 else "undecided"
    assert (choice["test"]["p_value"], choice["difference"]["value"]) == pytest.approx((p_value, np.mean(gains)))
    assert (choice["verdict"], reported["baseline"]["is_beaten"]) == (verdict, verdict == "shown")
    halves = [recount.half([row]) - (1.0 if row.people == pick else 0.5 if not row.people else 0.0) for row in rows]
    if is_clustered:
        found = reported["agreement"]["constant_choice"]["half"]
        assert found["test"]["p_value"] == pytest.approx(recount.flipped(rows, halves))
    decided = [(row.people, row.metric) for row in rows if row.people and row.metric]
    table = [[decided.count((p, m)) for m in (1, -1)] for p in (1, -1)]
    right = sum(p == m for p, m in decided)
    fisher, coin = stats.fisher_exact(np.array(table))[1], stats.binomtest(right, len(decided)).pvalue
    if is_clustered:
        both = [row for row in rows if row.people and row.metric]
        means = np.mean([row.people for row in both]), np.mean([row.metric for row in both])
        fisher = recount.flipped(both, [float((row.people - means[0]) * (row.metric - means[1])) for row in both])
        coin = recount.flipped(both, [1.0 if row.people == row.metric else -1.0 for row in both])
    assert reported["fisher_exact"]["p_value"] == pytest.approx(fisher)
    assert reported["against_one_half"]["p_value"] == pytest.approx(coin)
    chance, (people, metric) = reported["chance_corrected"], zip(*decided, strict=True)
    assert chance["kappa"]["value"] == pytest.approx(cohen_kappa_score(people, metric))
    assert chance["matthews"]["value"] == pytest.approx(matthews_corrcoef(people, metric))
    assert chance["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(people, metric))
    case.check(
        chance["kappa_with_ties"],
        rows,
        lambda some: float(cohen_kappa_score([r.people for r in some], [r.metric for r in some], labels=[1, -1, 0])),
        is_expanded=True,
    )
    cells = [[sum((r.people, r.metric) == (p, m) for r in rows) for m in (1, -1, 0)] for p in (1, -1, 0)]
    assert reported["confusion"]["counts"] == cells


def test_reliability(case: Case) -> None:
    reported, rows = case.reported["reliability"], case.rows
    case.check(reported["pairwise_agreement"], rows, recount.pairwise_agreement)
    case.check(reported["pooled_agreement"], rows, recount.pooled_agreement)
    case.check(reported["alpha"], rows, recount.alpha)
    case.check(reported["alpha_ordinal"], rows, lambda some: recount.alpha(some, "ordinal"))
    decided = [row for row in rows if any(row.signs)]
    case.check(reported["alpha_without_ties"], decided, lambda some: recount.alpha(some, with_ties=False))
    q = 3 if case.may_tie else 2
    case.check(reported["ac1"], rows, lambda some: recount.chance_corrected(some, "ac1", q))
    case.check(reported["brennan_prediger"], rows, lambda some: recount.chance_corrected(some, "bp", q))
    if len({len(row.votes) for row in rows}) == 1:
        assert reported["fleiss_kappa"]["value"] == pytest.approx(fleiss_kappa([row.counts for row in rows]))
    else:
        assert reported["fleiss_kappa"]["reason"] == "comparisons have different numbers of votes"


def test_people(case: Case) -> None:
    reported = case.reported
    shared = [row for row in case.rows if len(row.votes) > 1]
    for name, by_vote in (("by_comparison", False), ("by_vote", True)):
        left_out = reported["leave_one_out"][name]
        for who in ("people", "metric"):
            assert left_out[who]["value"] == pytest.approx(recount.left_out(shared, who, by_vote=by_vote))
        difference = left_out["metric"]["value"] - left_out["people"]["value"]
        assert left_out["difference"]["value"] == pytest.approx(difference)
        assert all(one["low"] < one["value"] < one["high"] for one in left_out.values())
    for row in reported["leave_one_out"]["by_count"]:
        same = [one for one in shared if len(one.votes) == row["votes"]]
        assert row["comparisons"] == len(same)
        assert row["people"] == pytest.approx(recount.left_out(same, "people"))
        assert row["metric"] == pytest.approx(recount.left_out(same, "metric"))
    assert reported["people"]["greatest_agreement"]["value"] == pytest.approx(_greatest(case.rows), abs=1e-5)


def _greatest(rows: Sequence[Comparison]) -> float:
    """The beta-binomial by moments, integrated numerically."""
    counts = [row.counts[:2] for row in rows if any(row.counts[:2])]
    mean = np.mean([a / (a + b) for a, b in counts])
    split = np.mean([2 * a * b / ((a + b) * (a + b - 1)) for a, b in counts if a + b > 1])
    rho = 1 - split / (2 * mean * (1 - mean))
    alpha, beta = mean * (1 - rho) / rho, (1 - mean) * (1 - rho) / rho

    def best(p: float, k: int) -> float:
        return float(max(stats.binom.sf(k // 2, k, p), stats.binom.sf(k // 2, k, 1 - p)))

    def weighed(p: float, k: int) -> float:
        return best(p, k) * float(stats.beta.pdf(p, alpha, beta))

    by_size = {
        k: integrate.quad(weighed, 0, 0.5, args=(k,), limit=200)[0]
        + integrate.quad(weighed, 0.5, 1, args=(k,), limit=200)[0]
        for k in {a + b for a, b in counts}
    }
    return float(np.mean([by_size[a + b] for a, b in counts]))


def test_the_alternative_annotator_test(case: Case) -> None:
    outcomes = [row for row in case.reported["people"]["alternative_annotator"] if row["contestant"] == "metric"]
    assert [row["tolerance"] for row in outcomes] == [0.1, 0.0]
    duels = {name: recount.alternative_annotator(case.rows, name) for name in case.names()}
    duels = {name: wins for name, wins in duels.items() if len(wins[0]) >= 30}
    for outcome in outcomes:
        if len(duels) < 3:
            assert outcome["winning_rate"] is None
            assert outcome["reason"].startswith(f"not eligible: {counted(len(duels), 'annotator')} with")
            continue
        gaps = [np.subtract(person, metric) for metric, person in duels.values()]
        epsilon = outcome["tolerance"]
        p_values = [
            float(stats.ttest_1samp(gap, epsilon, alternative="less").pvalue)
            if np.ptp(gap)
            else float(gap[0] >= epsilon)
            for gap in gaps
        ]
        reported = sorted(row["p_value"] for row in outcome["annotators"])
        assert reported == pytest.approx(sorted(p_values))
        rejected = multipletests(p_values, alpha=0.05, method="fdr_by")[0]
        assert outcome["winning_rate"] == pytest.approx(rejected.mean())
        assert outcome["advantage"] == pytest.approx(np.mean([np.mean(metric) for metric, _ in duels.values()]))


def test_a_new_annotator_on_a_new_prompt(case: Case) -> None:
    found, rows = case.reported["single_votes"], case.rows
    metric = np.mean([np.mean([1 - abs(sign - row.metric) / 2 for sign in row.signs]) for row in rows])
    pairs = [[1 - abs(a - b) / 2 for a, b in combinations(row.signs, 2)] for row in rows]
    people = np.mean([np.mean(each) for each in pairs if each])
    assert found["metric"]["value"] == pytest.approx(metric)
    assert found["people"]["value"] == pytest.approx(people)
    assert found["difference"]["value"] == pytest.approx(metric - people)
    annotators = {name for row in rows for name, _, _ in row.votes}
    assert (found["metric"]["low"] is None) == (len(annotators) < 6)
    assert {one["population"] for one in found.values()} == {"annotators like these"}


def test_each_annotator_left_out(case: Case) -> None:
    reported, rows, names = case.reported, case.rows, case.names()
    # The report numbers annotators in the order in which the file names them first.
    without = {name: recount.without(rows, name) for name in names}
    strict = {name: recount.strict(left) for name, left in without.items() if left}
    listed = [(row["agreement"], row["n"]) for row in reported["fragility"]["without_each"]]
    assert listed == [(pytest.approx(strict[name]), len(without[name])) for name in strict]


def test_skills_by_dawid_and_skene(case: Case) -> None:
    models = case.reported["sensitivity"]["dawid_skene"]
    assert [model["prior"] for model in models] == ["uniform", "learned"]
    for model in models:
        winners = recount.dawid_skene(case.rows, ties=case.may_tie, learn=model["prior"] == "learned")
        assert model["comparisons"] == len(case.rows)
        assert model["changed"] == sum(row.people != sign for row, sign in zip(case.rows, winners, strict=True))
        right = [row.metric == sign for row, sign in zip(case.rows, winners, strict=True)]
        share(case.rows, right, model["agreement"])


def test_scores(case: Case) -> None:
    reported, scored = case.reported["scores"], list(case.again.everything.values())
    a, b = np.array([row.scores for row in scored]).T
    for name, column in (("model_a", a), ("model_b", b)):
        for key, value in (
            ("n", len(column)),
            ("mean", column.mean()),
            ("median", np.median(column)),
            ("standard_deviation", column.std(ddof=1)),
            ("least", column.min()),
            ("greatest", column.max()),
        ):
            assert reported[name][key] == pytest.approx(value)
    clear = np.array([row.margin for row in scored if row.metric])
    oracle = stats.wilcoxon(clear, method="exact" if len(clear) <= 50 else "approx")
    assert reported["wilcoxon"]["test"]["statistic"] == pytest.approx(oracle.statistic)
    decided = [row for row in scored if row.metric]
    ranks = stats.rankdata(np.abs(clear)) * np.sign(clear)
    p_value = recount.flipped(decided, ranks.tolist()) if recount.is_clustered(decided) else oracle.pvalue
    assert reported["wilcoxon"]["test"]["p_value"] == pytest.approx(p_value)
    case.check(reported["wilcoxon"]["rank_biserial"], decided, recount.rank_biserial)
    distance = stats.ks_2samp(a, b).statistic
    assert reported["kolmogorov_smirnov"]["statistic"] == pytest.approx(distance)
    assert reported["kolmogorov_smirnov"]["p_value"] == pytest.approx(stats.ks_2samp(a, b, method="exact").pvalue)
    labels = sorted({row.cluster for row in scored})
    flips = np.random.default_rng(SEED).choice((-1.0, 1.0), size=(RESAMPLES, len(labels)))
    reached = 0
    for flip in flips:
        swapped = np.array([flip[labels.index(row.cluster)] < 0 for row in scored])
        first, second = np.where(swapped, b, a), np.where(swapped, a, b)
        reached += stats.ks_2samp(first, second).statistic >= distance - 1e-9
    assert reported["kolmogorov_smirnov_sign_flip"]["p_value"] == pytest.approx((1 + reached) / (1 + RESAMPLES))


def test_margins(case: Case) -> None:
    reported, rows = case.reported["margins"], case.rows
    assert sum(bar["agreement"]["n"] for bar in reported["by_margin"]) == len(rows)
    for bar in reported["by_margin"]:
        inside = [row for row in rows if bar["low"] - 1e-12 <= abs(row.margin) <= bar["high"] + 1e-12]
        share(inside, [row.people == row.metric for row in inside], bar["agreement"])
    case.check(reported["auc"], rows, recount.auc)
    threshold = recount.best_threshold(rows)
    assert reported["ties"]["threshold"] == pytest.approx(threshold)
    assert reported["ties"]["in_sample"] == pytest.approx(recount.accuracy_with_threshold(rows, threshold))
    assert reported["ties"]["held_out"]["value"] == pytest.approx(recount.held_out(rows, SEED))
    assert ("no comparison tied" in reported["ties"]["note"]) == all(row.people for row in rows)


def test_calibration(case: Case) -> None:
    reported = case.reported["margins"]["calibration"]
    rows = [row for row in case.rows if any(row.signs)]
    won, lost = (np.array([row.counts[place] for row in rows]) for place in (0, 1))
    x, clusters = np.array([row.margin for row in rows]), np.array([row.cluster for row in rows])

    def fit(keep: Any) -> Any:
        votes = np.column_stack([won, lost])[keep]
        return sm.GLM(votes, sm.add_constant(x[keep]), family=sm.families.Binomial())

    everything = np.ones(len(rows), dtype=bool)
    oracle = fit(everything).fit(tol=1e-12, cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False})
    count, at = len(set(clusters.tolist())), stats.norm.ppf(0.975)
    if count < len(rows):
        at = stats.t.ppf(0.975, count - 1) * np.sqrt(count / (count - 1))
    for name, value, error in zip(("intercept", "slope"), oracle.params, oracle.bse, strict=True):
        reach = at * error
        assert [reported[name][key] for key in ("value", "low", "high")] == pytest.approx(
            [value, value - reach, value + reach], rel=1e-6, abs=1e-8
        )
    labels = sorted(set(clusters.tolist()))
    dealt = np.random.default_rng(SEED).permutation(len(labels)) % 10
    fold = np.array([dealt[labels.index(cluster)] for cluster in clusters])
    chance = np.empty(len(rows))
    for number in set(fold.tolist()):
        held_out = sm.add_constant(x[fold == number], has_constant="add")
        chance[fold == number] = fit(fold != number).fit(tol=1e-12).predict(held_out)
    squared = (won * (1 - chance) ** 2 + lost * chance**2).sum() / (won + lost).sum()
    share = won.sum() / (won + lost).sum()
    assert (reported["brier"], reported["reference"]) == pytest.approx((squared, share * (1 - share)), rel=1e-6)


def test_sides(case: Case) -> None:
    reported = case.reported["bias"]
    shares, chosen, total = [], 0, 0
    for name in case.names():
        by_left: dict[str, list[bool]] = {"Alpha": [], "Beta": []}
        for row in case.again.everything.values():
            for who, sign, left in row.votes:
                if who == name and sign and left:
                    by_left[left].append(recount.SIGN[left] == sign)
        chosen += sum(map(sum, by_left.values()))
        total += sum(map(len, by_left.values()))
        if all(by_left.values()):
            shares.append(np.mean([np.mean(said) for said in by_left.values()]))
    if not total:
        assert reported["position"] is None
        assert reported["reason"] == "every vote is a tie, or its sides were not recorded"
        return
    position = reported["position"]
    wilson(chosen, total, position["pooled_share"])
    wilson(chosen, total, case.document["quality"]["left_share"])
    assert position["pooled_test"]["p_value"] == pytest.approx(stats.binomtest(chosen, total).pvalue)
    assert position["share"]["value"] == pytest.approx(np.mean(shares))
    oracle = stats.ttest_1samp(shares, 0.5)
    assert position["t_test"]["p_value"] == pytest.approx(oracle.pvalue)
    ends = oracle.confidence_interval(0.95)
    assert (position["share"]["low"], position["share"]["high"]) == pytest.approx((max(0, ends.low), min(1, ends.high)))


def test_fragility(case: Case) -> None:
    reported, rows = case.reported["fragility"], case.rows
    lead = sum(row.people for row in rows)
    assert (reported["lead"]["leader"], reported["lead"]["lead"]) == ("A" if lead > 0 else "B", abs(lead))
    assert reported["lead"]["to_lose"]["votes"] == recount.votes_to_swing(rows, abs(lead))
    assert reported["lead"]["to_reverse"]["votes"] == recount.votes_to_swing(rows, abs(lead) + 1)
    for name in ("below_interval", "below_baseline"):
        assert reported[name]["votes"] == recount.votes_below(rows, reported[name]["target"])
    assert reported["below_interval"]["target"] == pytest.approx(case.reported["agreement"]["strict"]["wilson"]["low"])
    assert reported["below_baseline"]["target"] == pytest.approx(case.reported["baseline"]["agreement"]["value"])


def test_planning(case: Case) -> None:
    """McNemar's power by enumeration of both outcomes, at the number printed and at one less; clusters cost deff."""
    reported = case.reported["planning"]
    people, metric = (np.array([getattr(row, who) for row in case.rows]) for who in ("people", "metric"))
    choice = 1 if case.reported["baseline"]["models"][0] == "A" else -1
    gains = (people == metric).astype(int) - (people == choice)
    assert reported["comparisons"] == reported["differing"]["n"] == len(gains)
    assert reported["differing"]["value"] == pytest.approx((gains != 0).mean())
    labels = [row.cluster for row in case.rows]
    if len(set(labels)) < len(labels):
        groups, off = len(set(labels)), gains - gains.mean()
        sums = [off[[label == other for other in labels]].sum() for label in set(labels)]
        effect = groups / (groups - 1) * float(np.square(sums).sum() / np.square(off).sum())
        assert reported["design_effect"] == pytest.approx(max(1.0, effect))
        return
    wilson(int((gains != 0).sum()), len(gains), reported["differing"])
    assert reported["design_effect"] == 1.0

    def power(n: int, differing: float, difference: float) -> float:
        total = 0.0
        for m in range(n + 1):
            wins = [k for k in range(m + 1) if 2 * stats.binom.sf(k - 1, m, 0.5) <= 0.05]
            chance = stats.binom.sf(min(wins, default=m + 1) - 1, m, (differing + difference) / 2 / differing)
            total += stats.binom.pmf(m, n, differing) * chance
        return float(total)

    enough = [row for row in reported["rows"] if row["comparisons"] and row["comparisons"] < 200]
    assert enough
    for row in enough:
        assert row["differing"] == max(reported["differing"]["high"], row["difference"])
        needed = row["comparisons"]
        short, reached = (power(n, row["differing"], row["difference"]) for n in (needed - 1, needed))
        assert short < 0.8 <= reached


def test_annotators(case: Case) -> None:
    quality = case.document["quality"]
    rows, everything = case.rows, list(case.again.everything.values())
    names = case.names()
    for name, reported in zip(names, quality["annotators"], strict=True):
        own = [(sign, left) for row in everything for who, sign, left in row.votes if who == name]
        assert (reported["votes"], reported["tie_votes"]) == (len(own), sum(sign == 0 for sign, _ in own))
    sizes = [len(row.votes) for row in everything]
    assert quality["least_votes_per_comparison"] == min(sizes)
    assert quality["median_votes_per_comparison"] == np.median(sizes)
    ties = sum(sign == 0 for row in everything for sign in row.signs)
    wilson(ties, sum(sizes), quality["tie_share"])
    agreed = Counter[str]()
    beside = Counter[str]()
    for row in rows:
        for who, sign, _ in row.votes:
            if len(row.votes) > 1:
                target = int(np.sign(sum(row.signs) - sign))
                agreed[who] += 1 - abs(sign - target) / 2  # type: ignore[assignment]
                beside[who] += 1
    expected = [(beside[name], pytest.approx(agreed[name] / beside[name])) for name in names if beside[name]]
    assert [(row["votes"], row["agreement"]) for row in case.reported["annotators"]] == expected
