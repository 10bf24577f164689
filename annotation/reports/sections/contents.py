"""The report's table of contents. Pure."""

from collections.abc import Callable
from typing import TypeVar

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.ranking import Ranking
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Figure, Section
from annotation.reports.sections import claim, ranking
from annotation.reports.sections.agreement import agreement, comparisons, fragility, margins, metrics, sensitivity
from annotation.reports.sections.people import bias, crossed_model, non_inferiority, people, reliability, single_votes
from annotation.reports.sections.scores import image_noise, scores
from annotation.reports.sections.study import exclusions, planning, quality, sequential, study_facts

X = TypeVar("X")
Entry = Callable[[AgreementReport], Section | None]


def _fact(value: Callable[[AgreementReport], X], section: Callable[[X, Facts], Section | None]) -> Entry:
    """A value and the section that prints it."""
    return lambda report: section(value(report), report)


def _result(finding: Callable[[Results], X | None], section: Callable[[X, Facts], Section]) -> Entry:
    """A finding and the section that prints it; no section while the study is sealed, nor for a report of an earlier
    version that lacks the finding."""

    def entry(report: AgreementReport) -> Section | None:
        value = finding(report.results) if report.results else None
        return None if value is None else section(value, report)

    return entry


def _headlines(report: AgreementReport) -> exclusions.Compared | None:
    results = report.results
    if results is None or results.with_excluded_votes is None:
        return None
    return results.agreement, results.people, results.reliability, results.with_excluded_votes


def _ranked(results: Results) -> tuple[Ranking, Agreement] | None:
    return None if results.ranking is None else (results.ranking, results.agreement)


# One pair for each section, in the order of the report. A section that needs another value beside its own gets both.
CONTENTS: tuple[Entry, ...] = (
    _result(_ranked, ranking.section),
    _fact(lambda report: report.results.early_stopping if report.results else None, study_facts.section),
    study_facts.design_section,
    _result(lambda results: results.agreement, agreement.section),
    _result(lambda results: results.sequential, sequential.section),
    _result(lambda results: results.single_votes, single_votes.section),
    _result(lambda results: results.non_inferiority, non_inferiority.section),
    _result(lambda results: (results.sensitivity, results.agreement), sensitivity.section),
    _result(lambda results: (results.reliability, results.comparisons), reliability.section),
    _result(lambda results: results.people, people.section),
    _result(lambda results: results.crossed_model, crossed_model.section),
    _result(lambda results: (results.scores, results.comparisons) if results.scores else None, scores.section),
    _result(lambda results: results.image_noise, image_noise.section),
    _result(lambda results: (results.margins, results.agreement.confusion), margins.section),
    _result(lambda results: results.bias, bias.section),
    _fact(lambda report: report.quality, quality.section),
    _fact(lambda report: report.quality.checks, quality.checks_section),
    _fact(_headlines, exclusions.section),
    _result(lambda results: results.fragility, fragility.section),
    _result(lambda results: results.planning, planning.section),
    _result(lambda results: results.metrics, metrics.section),
    _result(lambda results: (results.comparisons, results.image_noise), comparisons.section),
)


def sections(report: AgreementReport) -> tuple[Section, ...]:
    """Every section of the report; those with results are missing while the study is sealed."""
    printed = (entry(report) for entry in CONTENTS)
    return tuple(section for section in printed if section is not None)


def figures_of(report: AgreementReport) -> list[Figure]:
    """Every figure of the report: the claim's, then in the order of the sections."""
    claimed = [claim_figure(report, report.results)] if report.results else []
    return claimed + [figure for section in sections(report) for figure in section.figures]


def claim_figure(report: AgreementReport, results: Results) -> Figure:
    """The figure beside the claim."""
    return claim.figure(report, results)
