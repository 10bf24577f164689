"""The report as frozen values, which are the JSON document (docs/report.md names each key), and its results. Pure."""

from dataclasses import dataclass, fields
from typing import Any

from annotation.reports.data.study_data import UnsealedData
from annotation.reports.findings import ranking, sides
from annotation.reports.findings.agreement import agreement, comparisons, fragility, margins, metrics, sensitivity
from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.agreement.fragility import Fragility
from annotation.reports.findings.agreement.margins import Margins
from annotation.reports.findings.agreement.metrics import Metrics
from annotation.reports.findings.agreement.sensitivity import Sensitivity
from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.people import bias, crossed_model, people, reliability
from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.people.people import People
from annotation.reports.findings.people.reliability import EarlyStopping
from annotation.reports.findings.ranking import Ranking
from annotation.reports.findings.scores import image_noise, scores
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.scores.scores import Scores
from annotation.reports.findings.study import exclusions, planning, sequential
from annotation.reports.findings.study.exclusions import Headlines
from annotation.reports.findings.study.planning import Planning
from annotation.reports.findings.study.sequential import Sequential
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.findings.verdict import VerdictLine
from annotation.reports.progress import Progress, Steps, silent
from scoring.statistics.people.crossed_model.model import CrossedModel
from scoring.statistics.people.non_inferiority import NonInferiority
from scoring.statistics.people.reliability import Reliability
from scoring.statistics.people.single_votes import SingleVotes


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that is sealed until the study closes: one value for each finding.

    scores: None for several models, as those of each pair are in its own report. ranking: None for two models. power:
    only in reports of version 0.2, where it took the observed agreement as true; `planning` has its place.
    """

    agreement: Agreement
    reliability: Reliability
    early_stopping: EarlyStopping
    with_excluded_votes: Headlines | None
    sensitivity: Sensitivity
    people: People
    scores: Scores | None
    image_noise: ImageNoise
    margins: Margins
    bias: Bias
    fragility: Fragility
    metrics: Metrics
    comparisons: tuple[ComparisonRow, ...]
    sequential: Sequential | None = None
    crossed_model: CrossedModel | None = None
    single_votes: SingleVotes | None = None
    non_inferiority: NonInferiority | None = None
    planning: Planning | None = None
    ranking: Ranking | None = None
    power: dict[str, Any] | None = None

    @property
    def claimed(self) -> tuple[Agreement, People, SingleVotes | None, Reliability]:
        """The findings that the figure of the claim shows."""
        return self.agreement, self.people, self.single_votes, self.reliability

    @property
    def doubted(self) -> tuple[Agreement, Reliability, Bias, ImageNoise]:
        """The findings that may hold reasons to doubt the result."""
        return self.agreement, self.reliability, self.bias, self.image_noise


@dataclass(frozen=True, slots=True)
class AgreementReport(Facts):
    """A report: `results` is None while the study is sealed. verdict: empty in reports of earlier versions."""

    results: Results | None
    verdict: tuple[VerdictLine, ...] = ()


def compute_results(data: UnsealedData, *, progress: Progress = silent) -> Results:
    """Compute every finding. progress: called before each one."""
    # `power` is never computed, and one of `scores` and `ranking` is not.
    step, order = Steps(progress, count=len(fields(Results)) - 2), sides.fixed_order(data)
    analysed = analyse(sides.by_order(data, order), order=order) if order else analyse(data)
    single = step("single votes", people.of_single_votes, analysed)
    return Results(
        agreement=step("agreement", agreement.compute, analysed),
        reliability=step("reliability", reliability.compute, analysed),
        early_stopping=step("early stopping", reliability.early_stopping, analysed),
        with_excluded_votes=step("exclusions", exclusions.compute, analysed),
        sensitivity=step("annotators by skill", sensitivity.compute, analysed),
        people=step("people", people.compute, analysed),
        scores=None if order else step("scores", scores.compute, analysed),
        image_noise=step("resampling images", image_noise.compute, analysed),
        margins=step("margins", margins.compute, analysed),
        bias=step("bias", bias.compute, analysed),
        fragility=step("fragility", fragility.compute, analysed),
        metrics=step("metrics", metrics.compute, analysed),
        comparisons=step("comparisons", comparisons.compute, analysed),
        sequential=step("evidence", sequential.compute, analysed),
        crossed_model=step("crossed model", crossed_model.compute, analysed, single),
        single_votes=single,
        non_inferiority=step("non-inferiority", people.within_margin, analysed),
        planning=step("planning", planning.compute, analysed),
        ranking=step("ranking", ranking.compute, analysed, order) if order else None,
    )
