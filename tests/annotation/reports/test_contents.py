"""The report's table of contents: findings, sections and drawings fit together."""

from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from annotation.reports import findings
from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.printing.blocks import FigureName
from annotation.reports.sections.contents import sections
from tests.annotation.reports.voted_studies import Plan, crossed, make_study, report_of

BEFORE_RESULTS = ["study-facts", "design"]
RESULTS = [
    "agreement",
    "single-votes",
    "sensitivity",
    "reliability",
    "people",
    "crossed-model",
    "scores",
    "image-noise",
    "calibration",
    "bias",
]
VOTES = ["quality", "exclusions"]
AFTER_VOTES = ["fragility", "planning", "metrics", "comparisons"]


def keys_of(plan: Plan) -> list[str]:
    return [section.key for section in sections(report_of(make_study(plan)))]


@pytest.mark.django_db
def test_a_closed_study_has_every_section_in_order() -> None:
    assert keys_of(crossed([[3, 1], [1, 3]])) == [*BEFORE_RESULTS, *RESULTS, *VOTES, *AFTER_VOTES]


@pytest.mark.django_db
def test_a_sealed_study_has_the_sections_without_results() -> None:
    assert keys_of(crossed([[3, 1], [1, 3]], state="open")) == [*BEFORE_RESULTS, *VOTES]


def test_each_finding_has_a_section_in_a_module_of_the_same_name() -> None:
    folder = Path(findings.__path__[0])
    modules = [path.relative_to(folder) for path in folder.rglob("*.py") if "\ndef compute(" in path.read_text()]
    assert len(modules) >= 14
    places = [".".join(path.with_suffix("").parts) for path in modules]
    named = {place: import_module(f"annotation.reports.sections.{place}") for place in places}
    assert [place for place, module in named.items() if not hasattr(module, "section")] == []


def test_each_figure_has_a_drawing() -> None:
    assert set(get_args(FigureName)) == set(DRAWINGS)
