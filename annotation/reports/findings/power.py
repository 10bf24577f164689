"""The number of comparisons that the next study needs, and the least agreement that this one could show. Pure."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed, explained
from scoring.statistics.agreement import agreement
from scoring.statistics.constant_choice import baseline
from scoring.statistics.estimate import Estimate
from scoring.statistics.power import AgainstBaseline, needed_comparisons, power

TARGET = 0.8
_SIZES = (25, 50, 75, 100, 150, 200, 300, 500)
_STEPS = 1000  # the least detectable agreement is found to a tenth of a per cent


@dataclass(frozen=True, slots=True)
class Needed:
    """Comparisons needed to show that a metric of `agreement` beats `baseline`.

    first: the fewest that reach the power, rejecting from `rejects_from` agreements on. safe: from here on the power
    never falls below again. detectable: the least agreement that this study's own number of comparisons shows.
    """

    baseline: float | None
    agreement: float | None
    first: int | None
    rejects_from: int | None
    safe: int | None
    detectable: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class PowerAt:
    """The power of a number of comparisons; None if the test does not exist."""

    comparisons: int
    against_baseline: float | None
    against_one_half: float | None


@dataclass(frozen=True, slots=True)
class Power:
    """One-sided exact binomial tests at `significance_level`; `target` is the power wanted."""

    significance_level: float
    target: float
    against_baseline: Needed
    against_one_half: Needed
    by_comparisons: tuple[PowerAt, ...]


def compute(analysed: Analysed) -> Power:
    """Return the power as if the true agreement were the one observed, against the observed baseline and one half."""
    plan, people, metric = analysed.data.manifest.analysis, analysed.people, analysed.metric
    ties, significance_level = plan.primary_endpoint, round(1 - plan.level, 12)
    seen = explained(agreement(people, metric, ties=ties, level=plan.level), analysed=len(analysed))
    constant = baseline(people, metric, ties=ties, level=plan.level).agreement.value
    return Power(
        significance_level=significance_level,
        target=TARGET,
        against_baseline=_needed(seen, constant, level=significance_level),
        against_one_half=_needed(seen, 0.5, level=significance_level),
        by_comparisons=tuple(
            PowerAt(
                size,
                _power(size, seen.value, constant, significance_level),
                _power(size, seen.value, 0.5, significance_level),
            )
            for size in _SIZES
        ),
    )


def _needed(seen: Estimate, baseline: float | None, *, level: float) -> Needed:
    agreement = seen.value
    if agreement is None or baseline is None:
        return Needed(baseline, agreement, None, None, None, None, seen.reason or "no baseline")
    if baseline in (0.0, 1.0):
        return Needed(baseline, agreement, None, None, None, None, "a baseline of 0 or 100 % leaves nothing to test")
    test = AgainstBaseline(baseline, level)
    detectable = _detectable(test, seen.n)
    if not baseline < agreement < 1:
        why = "the observed agreement is not above that" if agreement <= baseline else "nothing disagrees"
        return Needed(baseline, agreement, None, None, None, detectable, why)
    try:
        needed = needed_comparisons(test, agreement=agreement, target=TARGET)
    except ValueError as error:  # too close to the baseline for any study
        return Needed(baseline, agreement, None, None, None, detectable, str(error))
    return Needed(baseline, agreement, needed.first, needed.rejects_from, needed.safe, detectable, "")


def _detectable(test: AgainstBaseline, n: int) -> float | None:
    """Return None if even a metric that is always right would not be shown to beat the baseline."""
    size = np.array([n])
    shares = [step / _STEPS for step in range(1, _STEPS) if step / _STEPS > test.baseline]
    place = bisect_left(shares, TARGET, key=lambda share: float(power(size, test, agreement=share)[0]))
    return shares[place] if place < len(shares) else None


def _power(size: int, agreement: float | None, baseline: float | None, level: float) -> float | None:
    if agreement is None or baseline is None or not 0 < baseline < 1:
        return None
    return float(power(np.array([size]), AgainstBaseline(baseline, level), agreement=agreement)[0])
