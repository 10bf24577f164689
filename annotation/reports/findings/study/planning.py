"""The comparisons that a next study needs, for assumed differences between the metric and a constant choice. Pure.

None of this is the power of the study at hand: an observed difference says nothing new about the chance to show it.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import NOTHING_ANALYSED, Analysed
from annotation.studies.manifest import AnalysisPlan
from scoring.statistics.agreement.agreement import earned_credit
from scoring.statistics.agreement.constant_choice import NAMES, ConstantChoice, constant_choice
from scoring.statistics.inference.clusters import LEAST_CLUSTERS, clustering
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.score_interval import mean_credit
from scoring.statistics.studies.power import PairedTest, needed_for_difference
from scoring.statistics.votes.counts import Floats, Integers

TARGET = 0.8
IN_MANIFEST, ASSUMED = "fixed in the manifest", "assumed"
LOW_END, HIGH_END = "lower end of the interval observed", "upper end of the interval observed"
_DIFFERENCES = (0.02, 0.05, 0.10, 0.15, 0.20)  # assumed if the manifest fixes none
_STEPS = 1000  # the least difference is found to a tenth of a point


@dataclass(frozen=True, slots=True)
class Planned:
    """The comparisons that show a difference, in clusters like those here; None with a reason.

    difference: metric minus always naming one model. origin: where it comes from. differing: how often the two are
    taken to differ (the mean squared difference of their credits).
    """

    difference: float
    origin: str
    differing: float
    comparisons: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Planning:
    """Plans for the report's own test, two-sided at 1 - `level`. target: the wanted chance.

    differing: in how many comparisons the credit of the metric differs from that of the constant choice; its upper end
    is planned with. design_effect: how many times as many comparisons clusters like these cost. shown_from: the least
    difference that a study of as many comparisons as this one would show with the wanted chance; None if there is none.
    """

    level: float
    target: float
    differing: Estimate
    design_effect: float
    comparisons: int
    shown_from: float | None
    rows: tuple[Planned, ...]


@dataclass(frozen=True, slots=True)
class _Setting:
    """The numbers of this study that a plan uses. weight: the mean square of a difference of credits that is not zero.

    least: the comparisons of the fewest clusters that allow a verdict.
    """

    differing: Estimate
    weight: float
    comparisons: int
    design_effect: float
    least: int

    def test(self, difference: float) -> PairedTest:
        """Return the test of a difference: the credits differ at least as often as it says."""
        often = 1.0 if self.differing.high is None else self.differing.high
        return PairedTest(max(often * self.weight, difference), self.differing.level)


def compute(analysed: Analysed) -> Planning:
    """Plan for the manifest's difference, or else for several, and for both ends of the interval observed."""
    plan = analysed.data.manifest.analysis
    choice = constant_choice(
        analysed.people,
        analysed.metric,
        ties=plan.primary_endpoint,
        clusters=analysed.clusters,
        model=analysed.constant_choice,
        level=plan.level,
    )
    gains, clusters = _gains(analysed, choice)
    if not len(gains):
        nothing = Estimate.undefined(NOTHING_ANALYSED, n=0, level=plan.level)
        return Planning(plan.level, TARGET, nothing, 1.0, 0, None, ())
    setting = _setting(gains, clusters, plan.level)
    return Planning(
        level=plan.level,
        target=TARGET,
        differing=setting.differing,
        design_effect=setting.design_effect,
        comparisons=setting.comparisons,
        shown_from=_shown_from(setting),
        rows=tuple(_planned(setting, size, origin) for size, origin in _assumed(plan, choice.difference)),
    )


def _setting(gains: Floats, clusters: Integers, level: float) -> _Setting:
    differ, shared = gains != 0, clustering(gains, clusters)
    clusters_for_a_verdict = math.ceil(LEAST_CLUSTERS * len(gains) / len(np.unique(clusters)))
    return _Setting(
        differing=mean_credit(differ, clusters=clusters, level=level),
        weight=float((gains[differ] ** 2).mean()) if differ.any() else 1.0,
        comparisons=len(gains),
        design_effect=shared.design_effect if shared else 1.0,
        least=clusters_for_a_verdict if shared else 1,
    )


def _gains(analysed: Analysed, choice: ConstantChoice) -> tuple[Floats, Integers]:
    """Return the metric's credit minus that of the constant choice, and the clusters, where both count."""
    people, ties = analysed.people, analysed.data.manifest.analysis.primary_endpoint
    sign = next(sign for sign, name in NAMES.items() if name == choice.models[0])
    constant = earned_credit(people, np.full_like(people, sign), ties=ties)
    gains = earned_credit(people, analysed.metric, ties=ties) - constant
    counts = ~np.isnan(gains)
    return gains[counts], analysed.clusters[counts]


def _assumed(plan: AnalysisPlan, observed: Estimate) -> list[tuple[float, str]]:
    fixed = plan.assumed_difference
    assumed = [(size, ASSUMED) for size in _DIFFERENCES] if fixed is None else [(fixed, IN_MANIFEST)]
    ends = ((observed.low, LOW_END), (observed.high, HIGH_END))
    return assumed + [(end, origin) for end, origin in ends if end is not None]


def _planned(setting: _Setting, difference: float, origin: str) -> Planned:
    if difference <= 0:
        return Planned(
            difference, origin, setting.test(0).differing, None, "no number shows it: the metric is not better"
        )
    test = setting.test(difference)
    try:
        independent = needed_for_difference(test, difference=difference, target=TARGET)
    except ValueError as error:  # too small for any study
        return Planned(difference, origin, test.differing, None, str(error))
    needed = math.ceil(independent * setting.design_effect)
    return Planned(difference, origin, test.differing, max(needed, setting.least), "")


def _shown_from(setting: _Setting) -> float | None:
    if setting.comparisons < setting.least:
        return None
    independent = int(setting.comparisons / setting.design_effect)

    def is_shown(step: int) -> bool:
        return setting.test(step / _STEPS).power(independent, step / _STEPS) >= TARGET

    first = bisect_left(range(1, _STEPS + 1), True, key=is_shown) + 1  # the power rises with the difference
    return first / _STEPS if first <= _STEPS else None
