"""What every format must hold, and what none may let through."""

import csv
import json
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from annotation.reports.figures.draw import draw
from annotation.reports.figures.svg import as_file
from annotation.reports.formats.latex_escape import escape
from annotation.reports.formats.verdict import escape_markdown
from annotation.reports.printing.blocks import FigureName
from annotation.reports.report_jobs.downloads import FORMATS, render
from scoring.models import SetScore
from tests.annotation.reports.voted_studies import FIGURES, Plan, crossed, make_study, report_of

pytestmark = pytest.mark.django_db

NASTY = r"<script>alert('1')</script> 100% of a_b & $c #1 {x} ~ ^ \input{y}"
NASTY_PLAN = Plan(
    votes=[["A", "A"], ["B", "A"], ["B", "B"]],
    scores=[(80.0, 70.0), (60.0, 65.0), (60.0, 65.5)],
    prompts=[NASTY, "[brackets] first", "*star"],
    kind="simulated",
    manifest={"notice": "Untrained <models> & noise.", "model_a": {"name": "Alpha <b> & $x$_1"}},
)


@pytest.mark.parametrize("report_format", FORMATS)
def test_every_format_carries_the_notices_and_the_claim(report_format: str) -> None:
    report = report_of(make_study(crossed([[4, 1], [1, 4]], kind="simulated")))
    text = render(report, report_format)
    assert "Simulated votes: 30 of 30 votes were made by a program, not by a person." in text
    whole = " ".join(text.replace("\u00a0%", " %").split())
    escaped = {"latex": escape, "md": escape_markdown}.get(report_format, str)
    assert report.verdict
    for line in report.verdict:
        assert escaped(line.sentence) in whole
        assert escaped(line.numbers) in whole
    if report_format in ("json", "csv", "html"):
        assert report.claim in whole


@pytest.mark.parametrize("report_format", FORMATS)
def test_a_sealed_report_shows_no_result_in_any_format(report_format: str) -> None:
    text = render(report_of(make_study(crossed([[4, 1], [1, 4]], state="open"))), report_format)
    assert "sealed until the study closes" in text
    for word in ("Wilcoxon", "Krippendorff", "McNemar", "metric_winner"):
        assert word not in text


class Addresses(HTMLParser):
    """Everything in a page that makes a browser fetch or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]
        self.found += [tag for _ in [tag] if tag in ("script", "iframe", "link", "object")]


def test_the_html_file_holds_everything_it_shows() -> None:
    text = render(report_of(make_study(NASTY_PLAN)), "html")
    page = Addresses()
    page.feed(text)
    assert [found for found in page.found if not found.startswith(("xlink:href=#", "href=#"))] == []
    assert not re.search(r"url\((?!#|\"data:font/)|@import", text)
    assert set(re.findall(r"var\((--[\w-]+)", text)) <= set(re.findall(r"(--[\w-]+):", text)), "with its tokens"
    assert len(re.findall(r'<svg role="(?:img|group)"', text)) == len(FIGURES) - 1, (
        "the claim's figure is drawn by the page"
    )
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_html_escapes_prompts_names_and_notices() -> None:
    text = render(report_of(make_study(NASTY_PLAN)), "html")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "Untrained &lt;models&gt; &amp; noise." in text
    assert "Alpha &lt;b&gt; &amp; $x$_1" in text


def test_markdown_escapes_names_and_notices_and_holds_no_comparison() -> None:
    text = render(report_of(make_study(NASTY_PLAN)), "md")
    assert r"Alpha \<b\> & \$x\$\_1" in text
    assert r"> Untrained \<models\> & noise." in text
    assert "## What speaks against it" in text
    assert "| Reliability, Krippendorff's alpha | " in text
    assert "[brackets]" not in text.replace(r"\[", "")


def test_latex_escapes_prompts_names_and_notices() -> None:
    text = render(report_of(make_study(NASTY_PLAN)), "latex")
    assert r"100\% of a\_b \& \$c \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}input\{y\}" in text
    assert r"{}[brackets] first" in text  # else the bracket is an option of the line break before it
    assert r"{}*star" in text
    body = text.partition(r"\begin{document}")[2]
    assert r"\input" not in body.replace(r"\textbackslash{}input", "")
    assert body.count(r"\begin{longtable}") == body.count(r"\end{longtable}")


def test_csv_holds_every_number_of_the_document() -> None:
    report = report_of(make_study(NASTY_PLAN))
    rows = list(csv.DictReader(StringIO(render(report, "csv"))))
    document = json.loads(render(report, "json"))
    by_key: dict[tuple[str, str], Any] = {(row["key"], row["item"]): row for row in rows}
    headline = document["results"]["agreement"]["headline"]
    found = by_key["results.agreement.headline", ""]
    assert [float(found[name]) for name in ("value", "low", "high", "level", "n")] == [
        headline[name] for name in ("value", "low", "high", "level", "n")
    ]
    assert by_key["results.comparisons.prompt", "1"]["value"] == NASTY
    assert by_key["results.comparisons.score_a", "3"]["value"] == "60.0"
    assert by_key["results.confusion.counts", "1.1"]["value"] == str(document["results"]["confusion"]["counts"][0][0])
    assert by_key["results.baseline.mcnemar", ""]["value"] == str(
        document["results"]["baseline"]["mcnemar"]["p_value"] or ""
    )


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_the_same_bytes_each_time_and_hold_their_words_as_text(name: FigureName) -> None:
    report = report_of(make_study(NASTY_PLAN))
    svg = draw(report, name)
    assert draw(report, name) == svg
    root = ElementTree.fromstring(as_file(svg).partition("?>")[2])
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words
    assert not any("metadata" in element.tag for element in root.iter())
    if name == "scores-box":
        assert "A  Alpha <b> & $x$_1" in words


def test_scores_that_are_all_equal_have_no_density_and_the_caption_says_so() -> None:
    plan = Plan([["A"]] * 4, [(80.0, 70.0), (80.0, 71.0), (80.0, 73.0), (80.0, 72.0)])
    report = report_of(make_study(plan))
    assert "No density for A (Alpha), whose scores are all equal: drawn as one line." in render(report, "html")
    assert "A  Alpha (all equal)" in draw(report, "scores-density")


def test_the_command_writes_the_file_and_ends_with_the_claim(tmp_path: Path) -> None:
    report = report_of(make_study(crossed([[4, 1], [1, 4]], kind="simulated")))
    out = StringIO()
    call_command("report", "weather", format="json", out=tmp_path / "new" / "report.json", stdout=out)
    assert json.loads((tmp_path / "new" / "report.json").read_text())["claim"] == report.claim
    lines = out.getvalue().splitlines()
    assert lines == [str(tmp_path / "new" / "report.json"), *report.notices, report.claim]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.json"]


def test_the_command_refuses_in_one_sentence() -> None:
    with pytest.raises(CommandError, match="There is no study 'weather'"):
        call_command("report", "weather")
    make_study(crossed([[1, 0], [0, 1]]))
    SetScore.objects.filter(value=2.0).update(metric="lpips")
    SetScore.objects.exclude(metric="lpips").update(metric="dreamsim")
    with pytest.raises(CommandError, match=r"several metrics: choose one \(dreamsim, lpips\)"):
        call_command("report", "weather")
