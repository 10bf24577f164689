"""The result of a pilot: the pace of the votes, how well people agree, and the sample size that follows."""

import math
from dataclasses import dataclass, replace

from annotation.models import Study
from annotation.reports.findings.results import AgreementReport
from annotation.reports.progress import Progress, silent
from annotation.studies.pilot.pace import Pace
from annotation.studies.planning.question import (
    Assumptions,
    Chance,
    Design,
    Goal,
    Question,
    most_flips,
    refuse_impossible,
)
from annotation.studies.planning.sample_size import Recommended, affordable_prompts, recommended_size
from jobs.refusals import Refused
from scoring.statistics.inference.estimate import Estimate

SIMULATIONS = 100  # of each size: a person waits, and the plan is rounder than the simulation
MOST_PROMPTS = 1000
MOST_NUMBERS = 5_000_000  # random numbers at each size, for the same reason
MOST_DROPOUT = 0.9  # a plan needs some who stay
LOW, HIGH = "low", "high"
_NEVER_WRONG = 0.999  # a plan needs a chance below one
DIGITS = 4  # decimals that an assumption keeps


@dataclass(frozen=True, slots=True)
class Reliability:
    """The agreement among the people of the pilot: pairwise agreement, Krippendorff's alpha, Gwet's AC1.

    The intervals speak about annotators like these where the pilot has enough people, and else about these annotators;
    `population` says which. tie_share: of all counted votes.
    """

    pairwise_agreement: Estimate
    alpha: Estimate
    ac1: Estimate
    tie_share: float | None
    counted_votes: int


@dataclass(frozen=True, slots=True)
class PilotPlan:
    """The study to plan if people agree as at one end of the interval.

    end: `low` or `high`, of pairwise_agreement. person: the chance that a vote goes to the winner which follows.
    comparisons, annotators and hours of voting: None, with a reason, if no number of comparisons was found.
    """

    end: str
    pairwise_agreement: float
    person: float | None
    overlap: int
    comparisons: int | None
    annotators: int | None
    hours: float | None
    power: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class PilotResult:
    """The result of a pilot. reliability, flips: None while it is sealed.

    flips: the share of the metric's winners that a fresh draw of seeds would change; None with flips_reason if it is
    unknown. agreement, baseline: what the plans assume about the metric and about always naming one model. plans: for
    the low and the high end, or none with plans_reason.
    """

    study: str
    pilot_of: str
    pace: Pace
    reliability: Reliability | None
    flips: float | None
    flips_reason: str
    agreement: float
    baseline: float
    power_wanted: float
    plans: tuple[PilotPlan, ...]
    plans_reason: str


@dataclass(frozen=True, slots=True)
class Assumed:
    """The assumptions of the plans about the metric: its agreement, and the agreement of always naming one model."""

    agreement: float
    baseline: float


def assumed_of(*, agreement: float, baseline: float) -> Assumed:
    """Return assumptions with the digits that count. Raises Refused for shares that no plan can have."""
    values = {"agreement": round(agreement, DIGITS), "baseline": round(baseline, DIGITS)}
    for name, value in values.items():
        if not 0.5 < value < 1:
            raise Refused(f"{name}: a share above 0.5 and below 1.")
    return Assumed(**values)


def assumed_metric(report: AgreementReport | None) -> Assumed:
    """Return what a plan assumes unless told otherwise. The difference is that of the manifest if it fixes one."""
    usual = Assumptions()
    fixed = report.manifest.analysis.assumed_difference if report else None
    agreement = usual.agreement if fixed is None else min(0.99, usual.baseline + fixed)
    return Assumed(agreement, usual.baseline)


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans for both ends of the interval of people's agreement, or none with the reason."""

    plans: tuple[PilotPlan, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The input of a pilot's plans: people's agreement, its interval, and everything else of a question."""

    seen: Estimate
    question: Question
    seconds: float | None


def asked(pace: Pace, report: AgreementReport | None, design: Design, assumed: Assumed) -> Asked | Plans:
    """Return what the plans depend on, or without plans why there are none.

    report: of the closed pilot; None while it is sealed. design: of the main study.
    """
    reliability = _reliability(report) if report else None
    if reliability is None:
        return Plans(reason="the pilot is sealed until it is closed")
    seen = reliability.pairwise_agreement
    if seen.low is None or seen.high is None:
        return Plans(reason=f"how well people agree has no interval: {seen.reason}")
    question = Question(
        design=replace(design, annotators=None),
        assumptions=Assumptions(
            agreement=assumed.agreement,
            baseline=assumed.baseline,
            flips=possible_flips(_flips(report)[0], assumed.agreement),
            tie_share=reliability.tie_share or 0.0,
            dropout=min(MOST_DROPOUT, pace.left_early / pace.voters) if pace.voters else 0.0,
        ),
        chance=Chance(simulations=SIMULATIONS),
    )
    return Asked(seen, question, pace.seconds)


def compute_plans(found: Asked | Plans, progress: Progress = silent) -> Plans:
    """Return the plans, by simulations that take seconds."""
    if isinstance(found, Plans):
        return found
    plans = []
    for share, end, agree in ((0.0, LOW, found.seen.low), (0.5, HIGH, found.seen.high)):
        progress(share, f"simulated studies, {end} end")
        plans.append(_plan(end, agree or 0.0, found))
    return Plans(tuple(plans))


def pilot_result(
    pilot: Study, pace: Pace, report: AgreementReport | None, plans: Plans, assumed: Assumed
) -> PilotResult:
    """Return the result of a pilot. assumed: with which the plans were computed."""
    flips, reason = _flips(report)
    return PilotResult(
        study=pilot.slug,
        pilot_of=pilot.pilot_of.slug if pilot.pilot_of else "",
        pace=pace,
        reliability=_reliability(report) if report else None,
        flips=flips,
        flips_reason=reason,
        agreement=assumed.agreement,
        baseline=assumed.baseline,
        power_wanted=Goal().power,
        plans=plans.plans,
        plans_reason=plans.reason,
    )


def _reliability(report: AgreementReport) -> Reliability | None:
    if report.results is None:
        return None
    of_these = report.results.reliability
    others = of_these.annotators_like_these

    def of(name: str) -> Estimate:
        like_these: Estimate | None = getattr(others, name, None)
        own: Estimate = getattr(of_these, name)
        return like_these if like_these is not None and like_these.low is not None else own

    rows = report.results.comparisons
    ties = sum(row.votes_tie for row in rows)
    votes = ties + sum(row.votes_a + row.votes_b for row in rows)
    return Reliability(
        of("pairwise_agreement"), of("alpha"), of("ac1"), ties / votes if votes else None, counted_votes=votes
    )


def _flips(report: AgreementReport | None) -> tuple[float | None, str]:
    if report is None or report.results is None:
        return None, "known once the pilot is closed"
    noise = report.results.image_noise
    if noise.fresh_seeds is None:
        return None, noise.reason
    return noise.fresh_seeds.other_winners, noise.fresh_seeds.reason


def _plan(end: str, agree: float, found: Asked) -> PilotPlan:
    question = found.question
    overlap = question.design.overlap
    person = person_of(agree, tie_share=question.assumptions.tie_share)
    if person is None:
        why = (
            f"annotators who agree in {100 * agree:.0f} % (the {end} end of the interval) agree no more often than two "
            "coins, so no number of comparisons would show anything"
        )
        return PilotPlan(end, agree, None, overlap, None, None, None, None, why)
    try:
        chosen = _recommended(replace(question, assumptions=replace(question.assumptions, person=person)))
    except Refused as refusal:
        return PilotPlan(end, agree, person, overlap, None, None, None, None, str(refusal))
    if chosen is None:
        why = f"no number of comparisons up to {MOST_PROMPTS:,} reaches the wanted power"
        return PilotPlan(end, agree, person, overlap, None, None, None, None, why)
    return _of_size(end, agree, person, chosen, found.seconds)


def _recommended(question: Question) -> Recommended | None:
    refuse_impossible(question)
    most = affordable_prompts(question, most=MOST_PROMPTS, numbers=MOST_NUMBERS)
    return recommended_size(question, most_prompts=most)


def _of_size(end: str, agree: float, person: float, chosen: Recommended, seconds: float | None) -> PilotPlan:
    votes = chosen.point.x * chosen.overlap
    return PilotPlan(
        end=end,
        pairwise_agreement=agree,
        person=person,
        overlap=chosen.overlap,
        comparisons=chosen.point.x,
        annotators=chosen.annotators,
        hours=None if seconds is None else votes * seconds / 3600,
        power=chosen.point.power.value,
        reason="",
    )


# --- from what a pilot saw to what a plan assumes about people ----------------------------------
def person_of(pairwise_agreement: float, *, tie_share: float = 0.0) -> float | None:
    """Return the chance that a vote goes to the winner, from the chance that two votes on a comparison agree.

    Two votes agree if both are ties, t^2, or if neither is and both name one model, (1 - t)^2 (p^2 + (1 - p)^2); solved
    for p. It takes each comparison for equally clear and ties for independent. None if two votes agree no more often
    than two coins, so that no p fits.

    >>> person_of(0.745), person_of(0.4)
    (0.85, None)
    """
    if tie_share >= 1:
        return None
    decided = (pairwise_agreement - tie_share**2) / (1 - tie_share) ** 2
    if decided <= 0.5:
        return None
    return min(_NEVER_WRONG, round((1 + math.sqrt(min(1.0, 2 * decided - 1))) / 2, 6))


def possible_flips(flips: float | None, agreement: float) -> float:
    """Return the flips seen, or the usual ones, at most what a metric that agrees so often can have."""
    seen = Assumptions().flips if flips is None else flips
    return min(seen, math.floor(1e4 * most_flips(agreement)) / 1e4)
