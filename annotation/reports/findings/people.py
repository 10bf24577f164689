"""How far people's votes could carry any metric, and whether the metric could stand in for one of them. Pure."""

from dataclasses import dataclass

from annotation.reports.data.study_data import StudyData
from annotation.reports.findings.analysed import Analysed
from scoring.statistics.alternative_annotator import Outcome, alternative_annotator_test
from scoring.statistics.attenuation import attenuation
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import Resampling


@dataclass(frozen=True, slots=True)
class AgainstAnnotator:
    """A contestant against one annotator, each judged by the other annotators of the same comparisons."""

    annotator: str
    comparisons: int
    advantage: float
    p_value: float
    is_constant: bool
    is_replaceable: bool


@dataclass(frozen=True, slots=True)
class Contestant:
    """The alternative annotator test of the metric, of always naming one model, or of a coin, at one tolerance."""

    contestant: str
    tolerance: float
    winning_rate: float | None
    advantage: float | None
    annotators: tuple[AgainstAnnotator, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class PeopleLimits:
    """greatest_agreement: what any metric could reach with votes as noisy as these."""

    greatest_agreement: Estimate
    alternative_annotator: tuple[Contestant, ...]


def people_limits(data: StudyData, kept: Analysed, *, resampling: Resampling) -> PeopleLimits:
    """Attenuation by the votes' noise, and the alternative annotator test at the tolerance that the manifest fixed."""
    plan = data.manifest.analysis
    outcomes = alternative_annotator_test(
        kept.votes, kept.metric, tolerance=plan.annotator_tolerance, level=plan.level, seed=plan.seed
    )
    return PeopleLimits(
        greatest_agreement=attenuation(kept.counts, clusters=kept.clusters, resampling=resampling),
        alternative_annotator=tuple(_contestant(data, outcome) for outcome in outcomes),
    )


def _contestant(data: StudyData, outcome: Outcome) -> Contestant:
    annotators = tuple(
        AgainstAnnotator(
            annotator=data.annotators[row.annotator].pseudonym,
            comparisons=row.comparisons,
            advantage=row.advantage,
            p_value=row.p_value,
            is_constant=row.is_constant,
            is_replaceable=row.is_replaceable,
        )
        for row in outcome.annotators
    )
    return Contestant(
        outcome.contestant, outcome.tolerance, outcome.winning_rate, outcome.advantage, annotators, outcome.reason
    )
