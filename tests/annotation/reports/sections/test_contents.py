"""The report's table of contents: findings, sections and drawings fit together."""

from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from annotation.models import Study
from annotation.reports import findings
from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.printing.blocks import FigureName
from annotation.reports.sections.contents import chapters
from tests.annotation.reports.voted_studies import Plan, crossed, make_study, report_of

RESULTS = {
    "how-often": ["agreement", "single-votes", "sensitivity", "calibration"],
    "the-scores": ["scores"],
    "the-votes": ["reliability", "people", "crossed-model"],
    "where": ["disagreements"],
    "against": ["bias", "exclusions", "fragility"],
    "methods": ["references"],
    "appendix": ["study-facts", "design", "quality", "planning", "metrics", "comparisons"],
}
SEALED = {"against": ["exclusions"], "appendix": ["study-facts", "design", "quality"]}


def keys_of(plan: Plan) -> dict[str, list[str]]:
    """The sections of each chapter, by their keys."""
    return {
        chapter.key: [section.key for section in chapter.sections] for chapter in chapters(report_of(make_study(plan)))
    }


@pytest.mark.django_db
def test_a_closed_study_has_every_chapter_in_order() -> None:
    found = keys_of(crossed([[3, 1], [1, 3]]))
    assert found == RESULTS
    assert list(found) == list(RESULTS)


@pytest.mark.django_db
def test_each_chapter_of_results_has_sentences_and_one_of_its_figures() -> None:
    *results, appendix = chapters(report_of(make_study(crossed([[30, 2], [3, 25]]))))
    assert all(chapter.paragraphs for chapter in results)
    assert [chapter.figure.name for chapter in results if chapter.figure] == [
        "margin",
        "scores-paired",
        "votes",
        "disagreements",
        "annotators",
    ]
    for chapter in results[:-1]:
        assert chapter.figure in [figure for section in chapter.sections for figure in section.figures]
    assert appendix.is_appendix
    assert not appendix.paragraphs
    assert results[1].behind == "All numbers: 2 tables and 2 figures"


@pytest.mark.django_db
def test_a_sealed_study_has_the_sections_without_results() -> None:
    plan = crossed([[3, 1], [1, 3]], state="open")
    assert keys_of(plan) == SEALED
    found = chapters(report_of(Study.objects.get()))
    assert not any(chapter.paragraphs or chapter.figure for chapter in found)
    assert [chapter.title for chapter in found] == ["Exclusions", "Appendix"]


def test_each_finding_has_a_section_in_a_module_of_the_same_name() -> None:
    folder = Path(findings.__path__[0])
    modules = [path.relative_to(folder) for path in folder.rglob("*.py") if "\ndef compute(" in path.read_text()]
    assert len(modules) >= 14
    places = [".".join(path.with_suffix("").parts) for path in modules]
    named = {place: import_module(f"annotation.reports.sections.{place}") for place in places}
    assert [place for place, module in named.items() if not hasattr(module, "section")] == []


def test_each_figure_has_a_drawing() -> None:
    assert set(get_args(FigureName)) == set(DRAWINGS)
