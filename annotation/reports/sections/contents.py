"""The report's table of contents. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.ranking import Ranking
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.scores.scores import Scores
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Chapter, Figure, FigureName, Section, in_words
from annotation.reports.printing.drawn_numbers import claim_numbers
from annotation.reports.printing.phrases import constant_choice
from annotation.reports.sections import disagreements, methods, ranking
from annotation.reports.sections.agreement import agreement, comparisons, fragility, margins, metrics, sensitivity
from annotation.reports.sections.people import bias, crossed_model, people, reliability
from annotation.reports.sections.scores import image_noise, scores
from annotation.reports.sections.study import exclusions, planning, quality, sequential, study_facts
from jobs.wording import counted

X = TypeVar("X")
Entry = Callable[[AgreementReport], Section | None]
Paragraphs = Callable[[AgreementReport, Results], tuple[str, ...]]
APPENDIX = "appendix"


def _fact(value: Callable[[AgreementReport], X], section: Callable[[X, Facts], Section | None]) -> Entry:
    """A value and the section that prints it."""
    return lambda report: section(value(report), report)


def _result(finding: Callable[[Results], X | None], section: Callable[[X, Facts], Section | None]) -> Entry:
    """A finding and the section that prints it; no section while the study is sealed, nor for a report of an earlier
    version that lacks the finding."""

    def entry(report: AgreementReport) -> Section | None:
        value = finding(report.results) if report.results else None
        return None if value is None else section(value, report)

    return entry


def _judged(finding: Callable[[Results], X | None], section: Callable[[X, Facts], Section]) -> Entry:
    """A result that rests on comparisons with votes and scores; no section without any, as the verdict says why."""
    printed = _result(finding, section)
    return lambda report: printed(report) if report.counts.analysed_comparisons else None


def _headlines(report: AgreementReport) -> exclusions.Compared | None:
    results = report.results
    if results is None or results.with_excluded_votes is None:
        return None
    return results.agreement, results.people, results.reliability, results.with_excluded_votes


def _metrics(*, is_several: bool) -> Entry:
    """The section on several metrics: a chapter of its own if there are several, else part of the appendix."""
    return _result(
        lambda results: results.metrics if (len(results.metrics.metrics) > 1) == is_several else None, metrics.section
    )


def _references(report: AgreementReport) -> Section | None:
    """The references of the methods."""
    return methods.section(methods.paragraphs(report, report.results), report) if report.results else None


def _scored(results: Results) -> tuple[Scores, Sequence[ComparisonRow]] | None:
    scored = results.scores
    return None if scored is None or not scored.model_a.n else (scored, results.comparisons)


def _ranked(results: Results) -> tuple[Ranking, Agreement] | None:
    return None if results.ranking is None else (results.ranking, results.agreement)


@dataclass(frozen=True, slots=True)
class Plan:
    """A chapter of the table of contents.

    entries: the sections behind it, one pair of a finding and a section each. paragraphs: returns its sentences.
    figures: the chapter shows the first of these that exists.
    """

    key: str
    title: str
    entries: tuple[Entry, ...]
    paragraphs: Paragraphs | None = None
    figures: tuple[FigureName, ...] = ()


# A section that needs another value beside its own gets both.
CHAPTERS: tuple[Plan, ...] = (
    Plan("models", "The models in order", (_result(_ranked, ranking.section),), ranking.paragraphs, ("ranking",)),
    Plan(
        "how-often",
        "Agreement",
        (
            _judged(lambda results: results.agreement, agreement.section),
            _result(lambda results: results.sequential, sequential.section),
            _judged(lambda results: results.single_votes, people.single_votes_section),
            _judged(lambda results: results.non_inferiority, people.non_inferiority_section),
            _judged(lambda results: (results.sensitivity, results.agreement), sensitivity.section),
            _judged(lambda results: (results.margins, results.agreement.confusion), margins.section),
        ),
        agreement.paragraphs,
        ("margin", "agreement"),
    ),
    Plan(
        "the-scores",
        "The scores",
        (
            _result(_scored, scores.section),
            _result(lambda results: results.image_noise, image_noise.section),
        ),
        scores.paragraphs,
        ("scores-paired", "images"),
    ),
    Plan(
        "the-votes",
        "Reliability",
        (
            _result(lambda results: (results.reliability, results.comparisons), reliability.section),
            _judged(lambda results: results.people, people.section),
            _judged(lambda results: results.crossed_model, crossed_model.section),
        ),
        reliability.paragraphs,
        ("votes",),
    ),
    Plan(
        "where",
        "Where they disagree",
        (_result(lambda results: (results.comparisons, results.image_noise), disagreements.section),),
        disagreements.paragraphs,
        ("disagreements",),
    ),
    Plan(
        "against",
        "What speaks against it",
        (
            _result(lambda results: results.bias, bias.section),
            _fact(_headlines, exclusions.section),
            _judged(lambda results: results.fragility, fragility.section),
        ),
        fragility.paragraphs,
        ("annotators",),
    ),
    Plan("several-metrics", "Several metrics", (_metrics(is_several=True),), metrics.paragraphs),
    Plan("methods", "Methods", (_references,), methods.paragraphs),
    Plan(
        APPENDIX,
        "Appendix",
        (
            _fact(lambda report: report.results.early_stopping if report.results else None, study_facts.section),
            study_facts.design_section,
            _fact(lambda report: report.quality, quality.section),
            _fact(lambda report: report.quality.checks, quality.checks_section),
            _judged(lambda results: results.planning, planning.section),
            _metrics(is_several=False),
            _result(lambda results: (results.comparisons, results.image_noise), comparisons.section),
        ),
    ),
)


def chapters(report: AgreementReport) -> tuple[Chapter, ...]:
    """Return every chapter of the report; those with results are missing while the study is sealed."""
    return tuple(chapter for plan in CHAPTERS if (chapter := _chapter(plan, report)) is not None)


def _chapter(plan: Plan, report: AgreementReport) -> Chapter | None:
    printed = tuple(_printed(plan, report))
    named = {figure.name: figure for section in printed for figure in section.figures}
    figure = next((named[name] for name in plan.figures if name in named), None)
    said = plan.paragraphs(report, report.results) if plan.paragraphs and report.results else ()
    if not printed and not said:
        return None
    is_bare = not (said or plan.key == APPENDIX)  # sealed: only sections without results
    title = printed[0].title if is_bare else plan.title
    return Chapter(plan.key, title, printed, said, figure, is_appendix=plan.key == APPENDIX)


def _printed(plan: Plan, report: AgreementReport) -> Iterator[Section]:
    return (section for entry in plan.entries if (section := entry(report)) is not None)


def sections(report: AgreementReport) -> tuple[Section, ...]:
    """Every section of the report; those with results are missing while the study is sealed."""
    return tuple(section for chapter in chapters(report) for section in chapter.sections)


def figures_of(report: AgreementReport) -> Iterator[Figure]:
    """Yield every figure of the report: the claim's, then in the order of the sections."""
    if report.results:
        yield claim_figure(report, report.results)
    for plan in CHAPTERS:
        for section in _printed(plan, report):
            yield from section.figures


def is_figure(name: str, report: AgreementReport) -> TypeGuard[FigureName]:
    """Return whether this is the name of a figure of the report, without the sections after the one that shows it."""
    return any(figure.name == name for figure in figures_of(report))


def claim_figure(facts: Facts, results: Results) -> Figure:
    """Return the figure beside the claim: agreement, constant choice, people and reliability on one axis."""
    headline, single, alpha = results.agreement.headline, results.single_votes, results.reliability.alpha
    has_none = "no interval"
    caption = (
        f"The claim on one axis with {100 * headline.level:g} % intervals, n = {counted(headline.n, 'comparison')}. "
        f"Agreement: {headline.method or has_none}. Dotted line, {constant_choice(facts.study)}: Wilson. "
        "One annotator with the winner of the other votes: score interval. "
        f"Krippendorff's alpha: {has_none if alpha.low is None else 'bootstrap over clusters'}."
    )
    if single:
        how = has_none if single.metric.low is None else "two-way jackknife, for annotators like these"
        caption += f" A new annotator on a new prompt: {how}."
    said = in_words(claim_numbers(facts, results.claimed))
    return Figure("claim", "The claim in numbers", caption, said)
