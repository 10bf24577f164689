"""The agreement with annotators of unequal skill, and the distribution behind its bootstrap interval. Pure."""

from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.agreement.agreement import agreement, earned_credit
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.inference.intervals import ratio, resampled_totals
from scoring.statistics.people.dawid_skene import dawid_skene
from scoring.statistics.votes.counts import Floats

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
    """The number of resamples whose agreement lies from `low` to `high`."""

    low: float
    high: float
    resamples: int


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """bootstrap: the distribution behind the bootstrap interval of the primary endpoint, empty if undefined."""

    bootstrap: tuple[Bar, ...]
    dawid_skene: tuple[SkillModel, ...]


def compute(analysed: Analysed) -> Sensitivity:
    """Return the bootstrap distribution of the agreement, and the agreement with winners that weigh annotators by their
    skill."""
    return Sensitivity(
        bootstrap=_bars(analysed),
        dawid_skene=tuple(_skill_model(analysed, prior=prior) for prior in ("uniform", "learned")),
    )


def _skill_model(analysed: Analysed, *, prior: str) -> SkillModel:
    plan = analysed.data.manifest.analysis
    if len(analysed.votes.choice) > MOST_VOTES:
        return _no_model(prior, f"more than {MOST_VOTES} votes: too many to fit for a report", plan.level)
    fit = dawid_skene(analysed.votes, ties_allowed=analysed.may_tie, learn_prior=prior == "learned")
    if isinstance(fit, str):
        return _no_model(prior, fit, plan.level)
    metric, clusters = analysed.metric[fit.comparisons], analysed.clusters[fit.comparisons]
    return SkillModel(
        prior=prior,
        comparisons=len(fit.comparisons),
        changed=fit.changed,
        agreement=agreement(fit.winners, metric, ties=plan.primary_endpoint, clusters=clusters, level=plan.level),
        rounds=fit.rounds,
        warnings=fit.warnings,
        reason="",
    )


def _no_model(prior: str, reason: str, level: float) -> SkillModel:
    return SkillModel(prior, 0, None, Estimate.undefined(reason, n=0, level=level), None, (), reason)


def _bars(analysed: Analysed) -> tuple[Bar, ...]:
    ties = analysed.data.manifest.analysis.primary_endpoint
    earned = earned_credit(analysed.people, analysed.metric, ties=ties)
    is_counted = ~np.isnan(earned)
    if not is_counted.any():
        return ()
    summands = np.column_stack([np.where(is_counted, earned, 0.0), is_counted])
    totals = resampled_totals(summands, clusters=analysed.clusters, resampling=analysed.resampling)
    shares = ratio(totals[:, 0], totals[:, 1])
    shares = shares[~np.isnan(shares)]
    edges = _edges(float(shares.min()), float(shares.max()), step=1 / (is_counted.sum() * (2 if ties == "half" else 1)))
    heights, _ = np.histogram(shares, edges)
    return tuple(map(Bar, edges[:-1].tolist(), edges[1:].tolist(), heights.tolist()))


def _edges(least: float, greatest: float, *, step: float) -> Floats:
    """Edges of bars as wide as a whole number of steps between possible shares: each bar holds as many of them."""
    width = step * max(1.0, np.ceil((greatest - least) / step / _MOST_BARS))
    count = int(np.floor((greatest - least) / width + 0.5)) + 1
    return np.asarray(least - step / 2 + width * np.arange(count + 1), dtype=np.float64)
