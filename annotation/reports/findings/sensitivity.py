"""Whether the agreement hangs on how it is computed: other annotators, annotators of unequal skill. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed, within_budget
from scoring.statistics.agreement import TieTreatment, agreement, earned_credit
from scoring.statistics.dawid_skene import dawid_skene
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling, ratio, resampled_totals
from scoring.statistics.two_way import TwoWay, two_way_agreement

TWO_WAY_BUDGET = 200_000_000  # votes times resamples: about two seconds
MOST_VOTES = 200_000  # for Dawid and Skene: each of up to a thousand rounds goes through every vote
_MOST_BARS = 40


@dataclass(frozen=True, slots=True)
class SkillModel:
    """The agreement with the winners of Dawid and Skene's model. changed: winners that differ from the votes' sign."""

    prior: str
    comparisons: int
    changed: int | None
    agreement: Estimate
    rounds: int | None
    warnings: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Bar:
    """How many resamples of the agreement lie from `low` to `high`."""

    low: float
    high: float
    resamples: int


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """bootstrap: the distribution behind the bootstrap interval of the primary endpoint, empty where undefined."""

    bootstrap: tuple[Bar, ...]
    two_way: TwoWay
    dawid_skene: tuple[SkillModel, ...]


def sensitivity(
    kept: Analysed,
    *,
    ties: TieTreatment,
    may_tie: bool,
    resampling: Resampling,
    progress: Callable[[float], None] | None = None,
) -> Sensitivity:
    """The agreement under resampled annotators, and with winners that weigh annotators by their skill.

    progress: told the share of the resamples of both that is done.
    """
    budgeted = within_budget(resampling, numbers=len(kept.votes.choice), budget=TWO_WAY_BUDGET)
    return Sensitivity(
        bootstrap=_bars(kept, ties=ties, resampling=resampling),
        two_way=two_way_agreement(
            kept.votes,
            kept.metric,
            clusters=kept.clusters,
            resampling=budgeted,
            progress=(lambda done: progress(done / budgeted.resamples)) if progress else None,
        ),
        dawid_skene=tuple(
            _skill_model(kept, prior=prior, ties=ties, may_tie=may_tie, level=resampling.level)
            for prior in ("uniform", "learned")
        ),
    )


def _skill_model(kept: Analysed, *, prior: str, ties: TieTreatment, may_tie: bool, level: float) -> SkillModel:
    if len(kept.votes.choice) > MOST_VOTES:
        return _no_model(prior, f"more than {MOST_VOTES} votes: too many to fit for a report", level)
    fit = dawid_skene(kept.votes, ties_allowed=may_tie, learn_prior=prior == "learned")
    if isinstance(fit, str):
        return _no_model(prior, fit, level)
    return SkillModel(
        prior=prior,
        comparisons=len(fit.comparisons),
        changed=fit.changed,
        agreement=agreement(fit.winners, kept.metric[fit.comparisons], ties=ties, level=level),
        rounds=fit.rounds,
        warnings=fit.warnings,
        reason="",
    )


def _no_model(prior: str, reason: str, level: float) -> SkillModel:
    return SkillModel(prior, 0, None, Estimate.undefined(reason, n=0, level=level), None, (), reason)


def _bars(kept: Analysed, *, ties: TieTreatment, resampling: Resampling) -> tuple[Bar, ...]:
    earned = earned_credit(kept.people, kept.metric, ties=ties)
    is_counted = ~np.isnan(earned)
    if not is_counted.any():
        return ()
    summands = np.column_stack([np.where(is_counted, earned, 0.0), is_counted])
    totals = resampled_totals(summands, clusters=kept.clusters, resampling=resampling)
    shares = ratio(totals[:, 0], totals[:, 1])
    shares = shares[~np.isnan(shares)]
    edges = _edges(float(shares.min()), float(shares.max()), step=1 / (is_counted.sum() * (2 if ties == "half" else 1)))
    heights, _ = np.histogram(shares, edges)
    return tuple(
        Bar(float(low), float(high), int(height))
        for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True)
    )


def _edges(least: float, greatest: float, *, step: float) -> "np.typing.NDArray[np.float64]":
    """Bars as wide as a whole number of steps between possible shares, so that none holds more of them than another."""
    width = step * max(1.0, np.ceil((greatest - least) / step / _MOST_BARS))
    count = int(np.floor((greatest - least) / width + 0.5)) + 1
    return np.asarray(least - step / 2 + width * np.arange(count + 1), dtype=np.float64)
