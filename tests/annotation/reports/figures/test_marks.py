"""Each model's mark: A a blue square, B an orange circle, on the pages as in the figures, and nobody else's."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from matplotlib.figure import Figure
from matplotlib.text import Text

from annotation.reports.figures import agreement, scores
from annotation.reports.figures.draw import DRAWINGS, draw
from annotation.reports.figures.style import (
    COLUMN,
    DARK,
    LIGHT,
    MODEL_COLOURS,
    MODEL_SHAPES,
    PAGE,
    drawing_style,
    model_marks,
)
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.forest import forest
from annotation.reports.formats.html import to_html
from tests.annotation.reports.voted_studies import crossed, make_study, report_of

pytestmark = pytest.mark.django_db
LETTERS = ("A", "B")
MARKS = {letter: (MODEL_SHAPES[letter], MODEL_COLOURS[letter]) for letter in LETTERS}


@pytest.fixture
def report() -> AgreementReport:
    return report_of(make_study(crossed([[4, 1], [1, 4]])))


def drawn(figure: Figure) -> set[tuple[object, object]]:
    """The shape and colour of everything that is drawn with a mark."""
    lines = [line for axes in figure.axes for line in axes.lines if line.get_marker() not in ("None", "")]
    return {(line.get_marker(), line.get_color()) for line in lines}


@pytest.mark.parametrize(
    ("low", "ticks"),
    [(0.1, ["0 %", "25 %"]), (-0.01, ["−25 %", "0 %"]), (-0.3, ["−50 %", "0 %"]), (-0.6, ["−100 %", "−50 %", "0 %"])],
)
def test_the_axis_of_the_large_numbers_begins_close_below_the_least_bound(
    report: AgreementReport, low: float, ticks: list[str]
) -> None:
    assert report.results
    reliability = report.results.reliability
    alpha = replace(reliability.alpha, value=0.2, low=low, high=0.3)
    drawn = forest(report, replace(report.results, reliability=replace(reliability, alpha=alpha)))
    assert [label for _, label in drawn.ticks][: len(ticks)] == ticks
    assert [drawn.ticks[place][0] for place in (0, -1)] == ["0.00%", "100.00%"]


@pytest.mark.parametrize(("low", "label"), [(0.63, "0.63\nto 0.73"), (0.0063, "0.0063\nto\n0.0073")])
def test_long_margins_of_neighbouring_bins_do_not_touch(report: AgreementReport, low: float, label: str) -> None:
    assert report.results
    margins = report.results.margins
    bins = tuple(replace(row, low=low, high=low / 63 * 73) for row in margins.by_margin)
    figure = agreement.by_margin(report, replace(report.results, margins=replace(margins, by_margin=bins)))
    assert {text.get_text() for text in figure.axes[0].get_xticklabels()} == {label}


def test_a_mark_says_its_numbers_in_the_file_without_a_network(report: AgreementReport) -> None:
    page = to_html(report)
    assert report.results
    bins = [row.agreement.n for row in report.results.margins.by_margin if row.agreement.n]
    said = re.findall(r'<g id="margin-mark-\d+" tabindex="0" role="img" aria-label="([^"]*)"><title>\1</title>', page)
    assert [int(re.findall(r"of (\d+) comparison", text)[0]) for text in said] == bins
    assert "Margin 1: they agree" in page  # and not "1 to 1"
    speaking = re.findall(r'<g id="disagreements-comparison-(\d+)" tabindex="0" role="img" aria-label="(\d+)\. “', page)
    wrong = [row.position for row in report.results.comparisons if not row.agrees]
    assert sorted(speaking) == [(str(number), str(number)) for number in wrong]
    assert '<svg role="group" aria-label="Agreement by margin' in page


def test_figures_that_threads_draw_at_once_are_those_drawn_one_by_one(report: AgreementReport) -> None:
    alone = draw(report, "margin")
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda _time: draw(report, "margin"), range(8)))
    assert set(at_once) == {alone}


def test_the_pages_and_the_figures_have_the_same_marks() -> None:
    css = (Path(settings.BASE_DIR) / "static" / "pages.css").read_text()
    on_pages = {}
    for letter in LETTERS:
        rule = re.search(rf"^\.model\.{letter.lower()}::before {{(.*?)}}", css, re.MULTILINE | re.DOTALL)
        assert rule
        assert f"background: var(--model-{letter.lower()});" in rule[1], "a token, which the figures read, too"
        on_pages[letter] = "o" if "border-radius: 50%" in rule[1] else "s"
    assert on_pages == MODEL_SHAPES
    assert MARKS == {"A": ("s", "#0072b2"), "B": ("o", "#d55e00")}
    names = [f"model-{letter}" for letter in "abef"]
    for theme in (LIGHT, DARK):  # of several models, too, none has the colour of another
        assert len({theme[name] for name in names}) == len(names)
    assert {LIGHT[name] for name in names} <= {colour for _, colour in model_marks("abcdefg").values()}


def test_each_model_s_sets_are_drawn_with_its_mark(report: AgreementReport) -> None:
    assert report.results
    assert drawn(scores.box(report, report.results)) == set(MARKS.values())


def test_no_number_that_is_no_model_s_has_the_mark_of_a_model(report: AgreementReport) -> None:
    assert report.results
    shapes = set(MODEL_SHAPES.values())
    for name in ("claim", "agreement", "margin"):
        marks = drawn(DRAWINGS[name](report, report.results))
        assert marks
        assert {mark for mark in marks if mark[0] in shapes} <= set(MARKS.values()), name


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_numbers_on_the_map_hide_nothing_where_all_disagreements_lie_at_one_place(width: int) -> None:
    report = report_of(make_study(crossed([[4, 6], [0, 4]])))
    assert report.results
    with drawing_style(width=width):
        figure = DRAWINGS["disagreements"](report, report.results)
        figure.draw_without_rendering()
        (axes,) = figure.axes
        shown = [Text.get_window_extent(text) for text in axes.texts]  # without the line to the mark
    assert len(shown) == 3
    within = axes.get_window_extent()
    points = [np.asarray(line.get_xydata())[0] for line in axes.lines if line.get_marker() == "s"]
    marks = [axes.transData.transform(point) for point in points]
    for one in shown:
        assert sum(one.overlaps(other) for other in shown) == 1, "itself only"
        assert all(within.contains(*corner) for corner in one.corners())
        assert not any(one.contains(*mark) for mark in marks)
