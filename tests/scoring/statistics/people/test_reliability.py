import itertools
from dataclasses import fields
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.people.coefficients import Distance
from scoring.statistics.people.reliability import (
    LEAST_MINORITY,
    Coefficients,
    Reliability,
    brennan_prediger,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    pairwise_agreement,
    reliability,
)
from tests.scoring.statistics.reading import bounds, value

FEW = Resampling(resamples=200, seed=1)
TWO = Resampling(resamples=2)
DISTANCES: tuple[Distance, ...] = ("nominal", "ordinal", "interval", "ratio")

OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
FLEISS = """
0 0 0 0 14 / 0 2 6 4 2 / 0 0 3 5 6 / 0 3 9 2 0 / 2 2 8 1 1 / 7 7 0 0 0 / 3 2 6 3 0 / 2 5 3 2 2 / 6 5 2 1 0 / 0 2 2 3 7
"""
UNANIMOUS_BUT_FEW = [(5, 0, 0)] * 38 + [(4, 1, 0)] * 11 + [(3, 2, 0)]
UNEQUAL = [(3, 0, 0), (2, 1, 0), (1, 0, 0), (0, 2, 0)]
WITH_TIES = [(4, 1, 0), (2, 2, 1), (0, 5, 0), (3, 0, 2)]

tables = st.integers(2, 5).flatmap(lambda q: st.lists(st.tuples(*[st.integers(0, 6)] * q), min_size=1, max_size=15))


def observers() -> np.ndarray:
    """Units by categories 1 to 5, from the published lines of four observers."""
    units = zip(*(line.split() for line in OBSERVERS.strip().splitlines()), strict=True)
    return np.array([[unit.count(str(category)) for category in range(1, 6)] for unit in units])


def fleiss_units() -> np.ndarray:
    return np.array([line.split() for line in FLEISS.strip().split(" / ")], dtype=int)


def pairs_of(counts: Any) -> list[list[tuple[int, int]]]:
    """Every pair of different votes, comparison by comparison: the long way, for oracles."""
    votes = [[category for category, count in enumerate(row) for _ in range(count)] for row in counts]
    return [list(itertools.permutations(row, 2)) for row in votes]


def agreement_of_pairs(counts: Any) -> float:
    shares = [np.mean([a == b for a, b in pairs]) for pairs in pairs_of(counts) if pairs]
    return float(np.mean(shares))


@pytest.mark.parametrize(
    ("distance", "alpha"), [("nominal", 0.74342), ("ordinal", 0.81539), ("interval", 0.84911), ("ratio", 0.79740)]
)
def test_published_alphas(distance: Distance, alpha: float) -> None:
    assert value(krippendorff_alpha(observers(), distance=distance, resampling=FEW)) == pytest.approx(alpha, abs=5e-6)


def test_published_coefficients_of_the_same_table() -> None:
    assert value(gwet_ac1(observers(), resampling=FEW)) == pytest.approx(0.77544, abs=5e-6)
    assert value(brennan_prediger(observers(), resampling=FEW)) == pytest.approx(0.77273, abs=5e-6)
    assert value(fleiss_kappa(fleiss_units(), resampling=FEW)) == pytest.approx(0.20993, abs=5e-6)


def test_published_alpha_of_four_rows_of_five_votes() -> None:
    rows = [(5, 0), (4, 1), (3, 2), (1, 4)]
    assert value(krippendorff_alpha(rows, resampling=FEW)) == pytest.approx(0.2692, abs=5e-5)


def test_prevalence_pulls_alpha_apart_from_brennan_prediger() -> None:
    result = reliability(UNANIMOUS_BUT_FEW, ties_allowed=False, resampling=FEW)
    assert rounded(result) == {
        "pairwise_agreement": 0.9,
        "pooled_agreement": 0.9,
        "alpha": -0.0102,
        "alpha_ordinal": -0.0102,
        "alpha_without_ties": -0.0102,
        "ac1": 0.8891,
        "brennan_prediger": 0.8,
        "fleiss_kappa": -0.0143,
    }
    turned = [(b, a, 0) if row % 2 == 0 else (a, b, 0) for row, (a, b, _) in enumerate(UNANIMOUS_BUT_FEW)]
    assert value(reliability(turned, ties_allowed=False, resampling=FEW).alpha) == pytest.approx(0.8008, abs=5e-5)


def test_unequal_numbers_of_votes() -> None:
    result = reliability(UNEQUAL, ties_allowed=False, resampling=FEW)
    assert result.fleiss_kappa.reason == "comparisons have different numbers of votes"
    values = rounded(result)
    assert values["pairwise_agreement"] == 0.7778
    assert values["pooled_agreement"] == 0.7143
    assert values["ac1"] == 0.6
    assert values["brennan_prediger"] == 0.5556
    assert values["alpha"] == 0.5333
    assert result.alpha.n == 3


def test_tie_votes() -> None:
    result = rounded(reliability(WITH_TIES, ties_allowed=True, resampling=FEW))
    assert result["pairwise_agreement"] == 0.55
    assert result["brennan_prediger"] == 0.325
    assert result["ac1"] == 0.3502
    assert result["alpha"] == 0.3049
    assert result["alpha_ordinal"] == 0.4046
    assert result["alpha_without_ties"] == 0.4815


def test_tie_votes_dropped() -> None:
    dropped = [(a, b, 0) for a, b, _ in WITH_TIES]
    result = rounded(reliability(dropped, ties_allowed=False, resampling=FEW))
    assert result["pairwise_agreement"] == 0.7333
    assert result["brennan_prediger"] == 0.4667
    assert result["ac1"] == 0.4784
    assert result["alpha"] == 0.4815


def estimates_of(result: Reliability) -> dict[str, Estimate]:
    return {field.name: getattr(result, field.name) for field in fields(Coefficients)}


def rounded(result: Reliability) -> dict[str, float | None]:
    return {name: None if e.value is None else round(e.value, 4) for name, e in estimates_of(result).items()}


@settings(max_examples=60)
@given(tables, st.sampled_from(DISTANCES))
def test_alpha_equals_krippendorff(counts: Any, distance: Distance) -> None:
    result = krippendorff_alpha(counts, distance=distance, resampling=TWO)
    paired = np.array([row for row in counts if sum(row) >= 2])
    if len(paired) and np.count_nonzero(paired.sum(axis=0)) > 1:
        expected = krippendorff.alpha(
            value_counts=np.array(counts),
            value_domain=list(range(1, len(counts[0]) + 1)),
            level_of_measurement=distance,
        )
        assert result.value == pytest.approx(expected, abs=1e-12)
    else:
        assert result.value is None


@settings(max_examples=60)
@given(tables.filter(lambda counts: any(sum(row) >= 2 for row in counts)))
def test_chance_corrections_equal_their_definitions(counts: Any) -> None:
    pa, q = agreement_of_pairs(counts), len(counts[0])
    rated = np.array([row for row in counts if any(row)])
    share = (rated / rated.sum(axis=1, keepdims=True)).mean(axis=0)
    pe = sum(p * (1 - p) for p in share) / (q - 1)
    assert value(pairwise_agreement(counts, resampling=TWO)) == pytest.approx(pa)
    assert value(gwet_ac1(counts, resampling=TWO)) == pytest.approx((pa - pe) / (1 - pe))
    assert value(brennan_prediger(counts, resampling=TWO)) == pytest.approx((pa - 1 / q) / (1 - 1 / q))


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=2, max_size=12))
def test_fleiss_equals_statsmodels(votes: Any) -> None:
    counts = np.array([[row.count(category) for category in range(3)] for row in votes])
    result = fleiss_kappa(counts, resampling=TWO)
    if np.count_nonzero(counts.sum(axis=0)) == 1:
        assert result.reason == "all votes are equal"
    else:
        assert result.value == pytest.approx(statsmodels_fleiss(counts))


def test_resamples_equal_computing_each_anew() -> None:
    rng = np.random.default_rng(7)
    counts = rng.multinomial(5, [0.5, 0.3, 0.2], size=80)
    labels = rng.permutation(np.arange(80) % 32)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    drawn = np.random.default_rng(FEW.seed).integers(0, len(members), size=(FEW.resamples, len(members)))
    samples = [np.concatenate([counts[members[cluster]] for cluster in row]) for row in drawn]
    for distance in DISTANCES:
        alphas = [
            krippendorff.alpha(value_counts=sample, value_domain=[1, 2, 3], level_of_measurement=distance)
            for sample in samples
        ]
        result = krippendorff_alpha(counts, distance=distance, clusters=labels, resampling=FEW)
        assert bounds(result) == pytest.approx(np.quantile(alphas, [0.025, 0.975]), abs=1e-12)
    pairwise = [agreement_of_pairs(sample) for sample in samples]
    assert bounds(pairwise_agreement(counts, clusters=labels, resampling=FEW)) == pytest.approx(
        np.quantile(pairwise, [0.025, 0.975])
    )


def test_pooled_agreement_weighs_pairs() -> None:
    pairs = [pair for row in pairs_of(UNEQUAL) for pair in row]
    result = reliability(UNEQUAL, ties_allowed=True, resampling=FEW).pooled_agreement
    assert result.value == pytest.approx(np.mean([a == b for a, b in pairs]))


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12))
def test_neither_names_nor_order_nor_comparisons_without_votes_matter(counts: Any) -> None:
    as_is = estimates_of(reliability(counts, ties_allowed=True, resampling=TWO))
    renamed = [*((b, a, tie) for a, b, tie in reversed(counts)), (0, 0, 0)]
    for name, estimate in estimates_of(reliability(renamed, ties_allowed=True, resampling=TWO)).items():
        assert estimate.value == pytest.approx(as_is[name].value), name
        assert estimate.n == as_is[name].n


@settings(max_examples=30)
@given(tables)
def test_an_irrelevant_category_moves_brennan_prediger_and_ac1_only(counts: Any) -> None:
    wider = [(*row, 0) for row in counts]
    for distance in ("nominal", "ordinal", "interval"):
        narrow_alpha = krippendorff_alpha(counts, distance=distance, resampling=TWO)
        wide_alpha = krippendorff_alpha(wider, distance=distance, resampling=TWO)
        assert wide_alpha.value == pytest.approx(narrow_alpha.value, abs=1e-12)
    pa = pairwise_agreement(counts, resampling=TWO)
    if pa.value is not None and pa.value < 1:
        assert value(brennan_prediger(wider, resampling=TWO)) > value(brennan_prediger(counts, resampling=TWO))


@settings(max_examples=30)
@given(tables)
def test_a_duplicated_study_keeps_the_weighted_shares(counts: Any) -> None:
    for statistic in (pairwise_agreement, gwet_ac1, brennan_prediger):
        once, twice = (statistic(rows, resampling=TWO) for rows in (counts, counts * 2))
        assert twice.value == pytest.approx(once.value)


def test_a_tie_that_nobody_votes_still_counts_as_a_category() -> None:
    allowed, not_allowed = (reliability(UNEQUAL, ties_allowed=allowed, resampling=FEW) for allowed in (True, False))
    assert value(allowed.brennan_prediger) == pytest.approx((7 / 9 - 1 / 3) / (2 / 3))
    assert allowed.alpha.value == pytest.approx(not_allowed.alpha.value)


@pytest.mark.parametrize(
    ("counts", "reason", "n"),
    [
        ([], "no votes", 0),
        ([(0, 0, 0), (0, 0, 0)], "no votes", 0),
        ([(1, 0, 0), (0, 0, 1)], "no comparison has two votes", 0),  # one annotator
        ([(3, 0, 0), (2, 0, 0), (1, 0, 0)], "all votes are equal", 2),
    ],
)
def test_undefined_says_why(counts: Any, reason: str, n: int) -> None:
    result = reliability(counts, ties_allowed=True, resampling=FEW)
    for alpha in (result.alpha, result.alpha_ordinal):
        assert (alpha.value, alpha.low, alpha.reason, alpha.n) == (None, None, reason, n)
    is_paired = n > 0
    assert (result.pairwise_agreement.value, result.ac1.value, result.brennan_prediger.value) == (
        (1, 1, 1) if is_paired else (None, None, None)
    )


def test_every_vote_a_tie() -> None:
    result = reliability([(0, 0, 3), (0, 0, 4)], ties_allowed=True, resampling=FEW)
    assert result.alpha.reason == "all votes are equal"
    assert result.alpha_without_ties.reason == "no votes"
    assert result.pairwise_agreement.value == 1


def test_one_comparison_has_a_value_and_no_interval() -> None:
    alpha = krippendorff_alpha([(20, 15)], resampling=FEW)
    assert alpha.value == pytest.approx(krippendorff.alpha(value_counts=np.array([[20, 15]]), value_domain=[1, 2]))
    assert (alpha.low, alpha.reason) == (None, "all resamples equal")


@pytest.mark.parametrize(("minority", "is_enough"), [(LEAST_MINORITY - 1, False), (LEAST_MINORITY, True)])
def test_few_minority_votes_leave_alpha_and_kappa_without_an_interval(minority: int, is_enough: bool) -> None:
    counts = [(2, 1, 0)] * minority + [(3, 0, 0)] * 40
    result = estimates_of(reliability(counts, ties_allowed=True, resampling=FEW))
    for name, estimate in result.items():
        skewed = name.startswith(("alpha", "fleiss"))
        assert (estimate.low is not None) == (is_enough or not skewed), name
        assert estimate.value is not None
    reason = "14 votes for other than the most frequent choice, and an interval needs 15"
    assert result["alpha"].reason == ("" if is_enough else reason)


def test_tie_votes_that_were_not_allowed_are_refused() -> None:
    with pytest.raises(ValueError, match="none were allowed"):
        reliability([(1, 1, 1)], ties_allowed=False, resampling=FEW)
