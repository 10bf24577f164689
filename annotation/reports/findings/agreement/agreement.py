"""The agreement of the metric's winner with the people's winner, beside chance and a constant choice. Pure."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from annotation.reports.findings.analysed import Analysed, analyse, explained
from scoring.statistics.agreement import agreement as agreements
from scoring.statistics.agreement.agreement import Signs, TieTreatment
from scoring.statistics.agreement.chance import ChanceCorrected, against_one_half, chance_corrected, fisher_exact
from scoring.statistics.agreement.constant_choice import Baseline, ConstantChoice, baseline, constant_choice
from scoring.statistics.inference.clusters import Clustering, clustering
from scoring.statistics.inference.estimate import Estimate, SignificanceTest

TREATMENTS: tuple[TieTreatment, ...] = ("strict", "half", "dropped")
WINNERS = ("A", "B", "tie")  # the order of scoring's tables


@dataclass(frozen=True, slots=True)
class Bounds:
    """Strict agreement over all planned comparisons if all that dropped out disagreed (worst), or agreed (best)."""

    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class AgreementEstimates:
    """One treatment of ties with its intervals. score: of half credit, which is no proportion; else it is `wilson`."""

    wilson: Estimate
    clopper_pearson: Estimate
    bootstrap: Estimate
    score: Estimate | None = None

    @property
    def headline(self) -> Estimate:
        """The estimate that is quoted: with Wilson's interval, or with the score interval for half credit."""
        return self.score or self.wilson


@dataclass(frozen=True, slots=True)
class ConstantChoices:
    """The metric against always naming one model under each treatment of ties."""

    strict: ConstantChoice
    half: ConstantChoice
    dropped: ConstantChoice


@dataclass(frozen=True, slots=True)
class Winners:
    """Comparisons by how clearly the votes name a model. named: comparisons in which one has more votes than the other.

    with_majority: of these, those in which it has more than half of all votes. plurality_differs: comparisons whose
    winner is another one by plurality of A, B and tie.
    """

    named: int
    with_majority: int
    plurality_differs: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of each pair of winners: rows are people's, columns the metric's, both in the order of `labels`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement under the three treatments of ties, chance-corrected, and of always naming one model.

    endpoint: the treatment that the manifest fixed; headline is its estimate. with_excluded_votes: the headline as
    it would be had no vote been excluded, None if none was. baseline: the constant choice under the endpoint as version
    0.2 had it; constant_choice has it under each. clusters: None if each comparison is its own.
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
    constant_choice: ConstantChoices | None = None
    clusters: Clustering | None = None
    winners: Winners | None = None

    @property
    def bootstrap(self) -> Estimate:
        """The primary endpoint with its bootstrap interval."""
        estimates: AgreementEstimates = getattr(self, self.endpoint)
        return estimates.bootstrap

    @property
    def half_right(self) -> int:
        """The comparisons that count one half, by the primary endpoint: those with a tie on one side only."""
        of_a, of_b, of_tie = self.confusion.counts
        return of_a[-1] + of_b[-1] + sum(of_tie[:-1]) if self.endpoint == "half" else 0

    @property
    def confirmatory(self) -> ConstantChoice | None:
        """The primary endpoint against the constant choice: the study's one confirmatory test. None in version 0.2."""
        return None if self.constant_choice is None else getattr(self.constant_choice, self.endpoint)


def compute(analysed: Analysed) -> Agreement:
    """Return the agreement by each treatment of ties, a constant choice, and chance-corrected coefficients."""
    plan, people, metric = analysed.data.manifest.analysis, analysed.people, analysed.metric
    ties, level, clusters, resampling = plan.primary_endpoint, plan.level, analysed.clusters, analysed.resampling
    planned, agreeing = analysed.data.manifest.comparison_count, int((people == metric).sum())
    strict, half, dropped = (_treatment(analysed, people, ties=one) for one in TREATMENTS)
    by_plurality = agreements.people_winners(analysed.counts, rule="plurality")
    return Agreement(
        endpoint=ties,
        headline={"strict": strict, "half": half, "dropped": dropped}[ties].headline,
        strict=strict,
        half=half,
        dropped=dropped,
        with_excluded_votes=_with_excluded(analysed, ties=ties),
        plurality=_treatment(analysed, by_plurality, ties=ties).headline,
        bounds=Bounds(*agreements.bounds_with_missing(agreeing, len(people), planned)),
        baseline=baseline(people, metric, ties=ties, clusters=clusters, model=analysed.constant_choice, level=level),
        fisher_exact=fisher_exact(people, metric, clusters=clusters, resampling=resampling),
        against_one_half=against_one_half(people, metric, clusters=clusters),
        chance_corrected=chance_corrected(people, metric, clusters=clusters, resampling=resampling),
        confusion=Confusion(WINNERS, tuple(map(tuple, agreements.confusion(people, metric).tolist()))),
        constant_choice=ConstantChoices(*(_against_constant(analysed, ties=one) for one in TREATMENTS)),
        clusters=_clusters(analysed, ties=ties),
        winners=_winners(analysed, by_plurality),
    )


def _treatment(analysed: Analysed, people: Signs, *, ties: TieTreatment) -> AgreementEstimates:
    def estimate(interval: Literal["score", "clopper-pearson"]) -> Estimate:
        found = agreements.agreement(
            people,
            analysed.metric,
            ties=ties,
            interval=interval,
            clusters=analysed.clusters,
            level=analysed.resampling.level,
        )
        return explained(found, analysed=len(analysed))

    score, exact = estimate("score"), estimate("clopper-pearson")
    resampled = agreements.bootstrap_agreement(
        people, analysed.metric, ties=ties, clusters=analysed.clusters, resampling=analysed.resampling
    )
    bootstrap = explained(resampled, analysed=len(analysed))
    if ties != "half":
        return AgreementEstimates(score, exact, bootstrap)
    without = replace(score, low=None, high=None, method="none", reason=exact.reason)
    return AgreementEstimates(without, exact, bootstrap, score)


def _against_constant(analysed: Analysed, *, ties: TieTreatment) -> ConstantChoice:
    plan = analysed.data.manifest.analysis
    return constant_choice(
        analysed.people,
        analysed.metric,
        ties=ties,
        clusters=analysed.clusters,
        model=analysed.constant_choice,
        level=plan.level,
    )


def _clusters(analysed: Analysed, *, ties: TieTreatment) -> Clustering | None:
    earned = agreements.earned_credit(analysed.people, analysed.metric, ties=ties)
    is_counted = ~np.isnan(earned)
    return clustering(earned[is_counted], analysed.clusters[is_counted]) if is_counted.any() else None


def _winners(analysed: Analysed, by_plurality: Signs) -> Winners:
    counts, people = analysed.counts, analysed.people
    winning = np.where(people > 0, counts[:, 0], counts[:, 1])
    return Winners(
        named=int((people != 0).sum()),
        with_majority=int(((people != 0) & (2 * winning > counts.sum(axis=1))).sum()),
        plurality_differs=int((by_plurality != people).sum()),
    )


def _with_excluded(analysed: Analysed, *, ties: TieTreatment) -> Estimate | None:
    if not analysed.data.votes.exclusions:
        return None
    whole = analyse(analysed.data, with_excluded=True)
    return _treatment(whole, whole.people, ties=ties).headline
