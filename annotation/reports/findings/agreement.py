"""The agreement of the metric's winner with the people's winner, beside chance and a constant choice. Pure."""

from dataclasses import dataclass

from annotation.reports.findings.analysed import Analysed, analyse, explained
from scoring.statistics import agreement as agreements
from scoring.statistics.agreement import Signs, TieTreatment
from scoring.statistics.chance import (
    Baseline,
    ChanceCorrected,
    against_one_half,
    baseline,
    chance_corrected,
    fisher_exact,
)
from scoring.statistics.estimate import Estimate, SignificanceTest

WINNERS = ("A", "B", "tie")  # the order of scoring's tables


@dataclass(frozen=True, slots=True)
class Bounds:
    """Strict agreement over all planned comparisons if all that dropped out disagreed (worst), or agreed (best)."""

    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class AgreementEstimates:
    """One treatment of ties with its intervals. Half credit has the bootstrap's only."""

    wilson: Estimate
    clopper_pearson: Estimate
    bootstrap: Estimate

    @property
    def headline(self) -> Estimate:
        """The estimate that is quoted, with Wilson's interval, or the bootstrap's for half credit (no proportion)."""
        is_proportion = self.wilson.low is not None or not self.wilson.is_defined
        return self.wilson if is_proportion else self.bootstrap


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of each pair of winners: rows are people's, columns the metric's, both in the order of `labels`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement under the three treatments of ties, chance-corrected, and of always naming one model.

    endpoint: the treatment that the manifest fixed; headline is its estimate. with_excluded_votes: the headline as
    it would be had no vote been excluded, None if none was.
    """

    endpoint: str
    headline: Estimate
    strict: AgreementEstimates
    half: AgreementEstimates
    dropped: AgreementEstimates
    with_excluded_votes: Estimate | None
    plurality: Estimate
    bounds: Bounds
    baseline: Baseline
    fisher_exact: SignificanceTest
    against_one_half: SignificanceTest
    chance_corrected: ChanceCorrected
    confusion: Confusion

    @property
    def bootstrap(self) -> Estimate:
        """The primary endpoint with its bootstrap interval."""
        estimates: AgreementEstimates = getattr(self, self.endpoint)
        return estimates.bootstrap


def compute(analysed: Analysed) -> Agreement:
    """Return the agreement by each treatment of ties, a constant choice, and chance-corrected coefficients."""
    plan, people, metric = analysed.data.manifest.analysis, analysed.people, analysed.metric
    ties, level = plan.primary_endpoint, plan.level
    treatments: dict[TieTreatment, AgreementEstimates] = {
        one: _treatment(analysed, people, ties=one) for one in ("strict", "half", "dropped")
    }
    planned, agreeing = len(analysed.data.manifest.prompts), int((people == metric).sum())
    return Agreement(
        endpoint=ties,
        headline=treatments[ties].headline,
        strict=treatments["strict"],
        half=treatments["half"],
        dropped=treatments["dropped"],
        with_excluded_votes=_with_excluded(analysed, ties=ties),
        plurality=_treatment(
            analysed, agreements.people_winners(analysed.counts, rule="plurality"), ties=ties
        ).headline,
        bounds=Bounds(*agreements.bounds_with_missing(agreeing, len(people), planned)),
        baseline=baseline(people, metric, ties=ties, level=level),
        fisher_exact=fisher_exact(people, metric),
        against_one_half=against_one_half(people, metric),
        chance_corrected=chance_corrected(people, metric, clusters=analysed.clusters, resampling=analysed.resampling),
        confusion=Confusion(WINNERS, tuple(map(tuple, agreements.confusion(people, metric).tolist()))),
    )


def _treatment(analysed: Analysed, people: Signs, *, ties: TieTreatment) -> AgreementEstimates:
    metric, level, n = analysed.metric, analysed.resampling.level, len(analysed)
    estimates = (
        agreements.agreement(people, metric, ties=ties, interval="wilson", level=level),
        agreements.agreement(people, metric, ties=ties, interval="clopper-pearson", level=level),
        agreements.bootstrap_agreement(
            people, metric, ties=ties, clusters=analysed.clusters, resampling=analysed.resampling
        ),
    )
    return AgreementEstimates(*(explained(estimate, analysed=n) for estimate in estimates))


def _with_excluded(analysed: Analysed, *, ties: TieTreatment) -> Estimate | None:
    if not analysed.data.votes.exclusions:
        return None
    whole = analyse(analysed.data, with_excluded=True)
    return _treatment(whole, whole.people, ties=ties).headline
