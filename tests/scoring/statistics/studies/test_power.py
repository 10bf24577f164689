import numpy as np
import pytest
from scipy.stats import binom, binomtest, multinomial, norm

from scoring.statistics.agreement.credit_tests import credit_test
from scoring.statistics.inference.intervals import wilson
from scoring.statistics.studies.power import (
    AgainstBaseline,
    PairedTest,
    comparisons_for_width,
    expected_width,
    needed_comparisons,
    needed_for_difference,
    power,
    rejects_from,
)


def test_published_numbers() -> None:
    against_85 = needed_comparisons(AgainstBaseline(0.85), agreement=0.94)
    assert (against_85.first, against_85.rejects_from, against_85.safe) == (76, 70, 85)
    against_90 = needed_comparisons(AgainstBaseline(0.90), agreement=0.94)
    assert (against_90.first, against_90.safe) == (286, 333)


@pytest.mark.parametrize(("baseline", "level"), [(0.5, 0.05), (0.9, 0.05), (0.7, 0.01)])
def test_the_test_rejects_where_its_p_value_says_so(baseline: float, level: float) -> None:
    test = AgainstBaseline(baseline, level)
    for n, least in zip(range(1, 60), rejects_from(np.arange(1, 60), test), strict=True):
        is_rejecting = [binomtest(k, n, baseline, alternative="greater").pvalue <= level for k in range(n + 1)]
        assert least == (is_rejecting.index(True) if any(is_rejecting) else n + 1)


def test_power_is_the_chance_to_reject() -> None:
    test = AgainstBaseline(0.85)
    sizes = np.array([3, 20, 76])
    expected = [
        binom.pmf(np.arange(least, n + 1), n, 0.94).sum()
        for n, least in zip(sizes, rejects_from(sizes, test), strict=True)
    ]
    assert power(sizes, test, agreement=0.94) == pytest.approx(expected)
    assert power(sizes, test, agreement=0.94)[0] == 0  # three comparisons can never reject


def test_beyond_the_safe_number_power_never_falls_short() -> None:
    test = AgainstBaseline(0.8)
    needed = needed_comparisons(test, agreement=0.9, target=0.9)
    chances = power(np.arange(1, 3000), test, agreement=0.9)
    assert chances[needed.first - 1] >= 0.9 > chances[: needed.first - 1].max()
    assert chances[needed.safe - 2] < 0.9 <= chances[needed.safe - 1 :].min()


@pytest.mark.parametrize("agreement", [0.85, 0.8, 1.0])
def test_an_agreement_that_is_not_above_the_baseline_is_refused(agreement: float) -> None:
    with pytest.raises(ValueError, match="between the baseline and 1"):
        needed_comparisons(AgainstBaseline(0.85), agreement=agreement)


def test_a_difference_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="too close"):
        needed_comparisons(AgainstBaseline(0.85), agreement=0.8501)


def test_an_impossible_test_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        AgainstBaseline(1.0)


def test_the_expected_width_is_the_mean_over_what_may_be_seen() -> None:
    intervals = [wilson(k, 30, level=0.9) for k in range(31)]
    widths = [(one.high or 0) - (one.low or 0) for one in intervals]
    expected = float(binom.pmf(np.arange(31), 30, 0.8) @ np.array(widths))
    assert expected_width(np.array([30]), agreement=0.8, level=0.9)[0] == pytest.approx(expected)


@pytest.mark.parametrize("width", [0.5, 0.1, 0.02])
def test_the_fewest_comparisons_for_a_width(width: float) -> None:
    n = comparisons_for_width(width, agreement=0.94)
    just_short, enough = expected_width(np.array([n - 1, n]), agreement=0.94)
    assert enough <= width < just_short


@pytest.mark.parametrize("width", [0.0, 1.0, 1e-6])
def test_a_width_out_of_reach_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match=r"width|too narrow"):
        comparisons_for_width(width, agreement=0.94)


@pytest.mark.parametrize(("n", "differing", "difference"), [(40, 0.3, 0.2), (150, 0.2, 0.1), (25, 0.4, 0.4)])
def test_paired_power_is_the_chance_of_every_outcome_that_mcnemars_test_rejects(
    n: int, differing: float, difference: float
) -> None:
    """By enumeration of (first only, second only, rest), with scipy's own test."""
    total = 0.0
    for won in range(n + 1):
        for lost in range(min(won, n + 1 - won)):
            if binomtest(won, won + lost).pvalue < 0.05:
                chances = [(differing + difference) / 2, (differing - difference) / 2, 1 - differing]
                total += float(multinomial.pmf([won, lost, n - won - lost], n, chances))
    assert PairedTest(differing).power(n, difference) == pytest.approx(total, abs=1e-9)


def test_paired_numbers_are_close_to_connors_formula_and_never_below_it() -> None:
    """Connor (1987) has a normal approximation, which the exact test needs somewhat more than."""
    for differing, difference in ((0.2, 0.1), (0.13, 0.09), (0.5, 0.05), (0.3, 0.3)):
        reach = norm.ppf(0.975) * differing**0.5 + norm.ppf(0.8) * (differing - difference**2) ** 0.5
        approximate = (reach / difference) ** 2
        needed = needed_for_difference(PairedTest(differing), difference=difference)
        assert approximate < needed < approximate + 2.5 / difference


@pytest.mark.parametrize(("differing", "difference"), [(0.2, 0.1), (0.15, 0.15), (1.0, 0.3), (0.95, 0.2), (1.0, 0.06)])
def test_from_the_needed_number_on_paired_power_never_falls_short(differing: float, difference: float) -> None:
    """If the two differ always, the sawtooth of a fixed number of trials is back."""
    test = PairedTest(differing)
    needed = needed_for_difference(test, difference=difference)
    powers = np.array([test.power(n, difference) for n in range(needed - 1, needed + 150)])
    assert powers[0] < 0.8 <= powers[1:].min()
    assert (np.diff(powers).min() > 0) == (differing < 1)


@pytest.mark.parametrize(("differing", "level"), [(0.0, 0.95), (1.1, 0.95), (0.5, 1.0)])
def test_an_impossible_paired_test_is_refused(differing: float, level: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        PairedTest(differing, level)


def test_a_difference_beyond_how_often_they_differ_or_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at most how often"):
        PairedTest(0.1).power(10, 0.2)
    with pytest.raises(ValueError, match="too small for 262,144"):
        needed_for_difference(PairedTest(0.5), difference=0.001)


def test_half_credits_have_the_power_of_whole_ones_with_the_same_mean_and_square() -> None:
    rng, values, chances = np.random.default_rng(1), np.array([1, 0.5, -0.5, -1, 0]), [0.12, 0.06, 0.06, 0.02, 0.74]
    difference, square = float(values @ chances), float(values**2 @ chances)
    needed, studies = needed_for_difference(PairedTest(square), difference=difference), 200
    gains = rng.choice(values, size=(studies, needed), p=chances)
    shown = sum((credit_test(row).p_value or 1) < 0.05 and row.sum() > 0 for row in gains)
    assert shown / studies == pytest.approx(0.8, abs=3 * (0.8 * 0.2 / studies) ** 0.5)
