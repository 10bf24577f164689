"""The shape of a report: frozen values that become the JSON document as they are (docs/report.md names each key)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from annotation.reports.data.study_data import Tombstone
from annotation.reports.findings.checks import Checks
from annotation.reports.findings.early_stopping import EarlyStopping
from annotation.reports.findings.fragility import Fragility
from annotation.reports.findings.headlines import Headlines
from annotation.reports.findings.image_noise import ImageNoise
from annotation.reports.findings.margins import Margins
from annotation.reports.findings.metric_lab import MetricLab
from annotation.reports.findings.people import PeopleLimits
from annotation.reports.findings.power import Power
from annotation.reports.findings.sensitivity import Sensitivity
from annotation.reports.findings.voters import LongestRun, VoterAgreement
from scoring.statistics.bias import PositionBias
from scoring.statistics.chance import Baseline, ChanceCorrected
from scoring.statistics.estimate import Estimate, SignificanceTest
from scoring.statistics.leave_one_out import LeaveOneOut
from scoring.statistics.reliability import Reliability
from scoring.statistics.significance import Wilcoxon

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What was studied, and under which rules."""

    name: str
    slug: str
    source: str
    state: str
    question: str
    model_a: str
    model_b: str
    metric: str
    other_metrics: tuple[str, ...]
    are_ties_allowed: bool
    overlap: int
    images_per_set: int | None
    level: float
    resamples: int
    seed: int
    opened_at: datetime | None
    closed_at: datetime | None
    first_vote_at: datetime | None
    is_interim: bool
    is_sealed: bool
    was_sealed_by_design: bool


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """One version of the manifest, by its hash."""

    number: int
    sha256: str
    created_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there were of everything, from plan to analysis. Images are None where the study has none of its own."""

    planned_comparisons: int
    generated_comparisons: int | None
    scored_comparisons: int
    voted_comparisons: int
    analysed_comparisons: int
    planned_images: int | None
    images: int | None
    votes: int
    simulated_votes: int
    excluded_votes: int
    late_votes: int
    undone_votes: int
    withdrawn_votes: int
    withdrawn_annotators: int
    annotators: int
    simulated_annotators: int


@dataclass(frozen=True, slots=True)
class AnnotatorFacts:
    """How one annotator voted, with nothing about winners. Shares are of votes for a side, times in seconds."""

    pseudonym: str
    kind: str
    state: str
    votes: int
    excluded_votes: int
    tie_votes: int
    left_share: Estimate
    longest_run: LongestRun
    median_response_seconds: float | None
    broken_rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """How the votes were given; may be shown while the study is sealed."""

    left_share: Estimate
    tie_share: Estimate
    least_votes_per_comparison: int | None
    median_votes_per_comparison: float | None
    most_votes_per_comparison: int | None
    timed_votes: int
    median_response_seconds: float | None
    checks: Checks
    annotators: tuple[AnnotatorFacts, ...]


@dataclass(frozen=True, slots=True)
class ExcludedVote:
    """An excluded vote and why it does not count."""

    position: int
    prompt: str
    annotator: str
    reason: str


@dataclass(frozen=True, slots=True)
class StudyEventFacts:
    """Something done to the study on the way, for example a seed dropped from both sets."""

    happened_at: datetime
    verb: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What strict agreement over all planned comparisons would be if every one that fell out disagreed, or agreed."""

    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class AgreementEstimates:
    """One treatment of ties with its intervals. Half credit has the bootstrap's only."""

    wilson: Estimate
    clopper_pearson: Estimate
    bootstrap: Estimate


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of the metric's winner with the people's winner under the three treatments of ties.

    endpoint: the treatment that the manifest fixed; headline is its estimate. with_excluded_votes: the headline as
    it would be had no vote been excluded, None where none was.
    """

    endpoint: str
    headline: Estimate
    strict: AgreementEstimates
    half: AgreementEstimates
    dropped: AgreementEstimates
    with_excluded_votes: Estimate | None
    plurality: Estimate
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each winner met each: rows are people, columns the metric, both in the order of `labels`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """The metric's scores of one model's image sets, in the metric's unit."""

    n: int
    mean: float | None
    median: float | None
    standard_deviation: float | None
    least: float | None
    greatest: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class ScoreComparison:
    """The scores of the two models side by side; the tests with `ignores_pairing` in their method do."""

    model_a: ModelScores
    model_b: ModelScores
    wilcoxon: Wilcoxon
    kolmogorov_smirnov: SignificanceTest
    kolmogorov_smirnov_sign_flip: SignificanceTest


@dataclass(frozen=True, slots=True)
class Bias:
    """Whether the side mattered. The side coding is a check for bias, never reliability."""

    position: PositionBias | None
    side_coding_alpha: Estimate
    reason: str


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One comparison: scores, votes, winners ("A", "B", "tie"), None where there is none."""

    position: int
    prompt: str
    score_a: float | None
    score_b: float | None
    margin: float | None
    votes_a: int
    votes_b: int
    votes_tie: int
    people_winner: str | None
    metric_winner: str | None
    agrees: bool | None
    missing: str


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that is sealed until the study closes."""

    agreement: Agreement
    baseline: Baseline
    fisher_exact: SignificanceTest
    against_one_half: SignificanceTest
    chance_corrected: ChanceCorrected
    confusion: Confusion
    reliability: Reliability
    early_stopping: EarlyStopping
    with_excluded_votes: Headlines | None
    sensitivity: Sensitivity
    leave_one_out: LeaveOneOut
    people: PeopleLimits
    annotators: tuple[VoterAgreement, ...]
    scores: ScoreComparison
    image_noise: ImageNoise
    margins: Margins
    bias: Bias
    fragility: Fragility
    power: Power
    metrics: MetricLab
    comparisons: tuple[ComparisonRow, ...]


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """A report: `results` is None while the study is sealed. `notices` are printed on every page and in every file.

    manifest: the document in force without completion codes; with them, its hash is the last of `manifest_versions`.
    """

    schema_version: int
    claim: str
    notices: tuple[str, ...]
    study: StudyFacts
    manifest: dict[str, Any]
    manifest_versions: tuple[ManifestFacts, ...]
    counts: Counts
    quality: Quality
    exclusions: tuple[ExcludedVote, ...]
    withdrawals: tuple[Tombstone, ...]
    events: tuple[StudyEventFacts, ...]
    results: Results | None
