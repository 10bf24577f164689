"""The report on paper and as a picture: the card, the PDF, the style of a page."""

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from annotation.reports.figures.draw import drawn
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats import pdf
from annotation.reports.formats.card import to_card
from annotation.reports.formats.html import page_style, to_html
from annotation.reports.report import build_report
from benchmarks.simulated_study import simulated_study
from jobs.refusals import Refused
from tests.annotation.reports.many_models import Simulated, simulated_data
from tests.annotation.reports.voted_studies import crossed, make_study, report_of

POINTS = {"A4": (595, 842), "letter": (612, 792)}


@pytest.fixture(scope="module")
def simulated() -> AgreementReport:
    return build_report(simulated_study(comparisons=24, votes=5, annotators=8))


def browser(folder: Path, script: str) -> None:
    """A browser of the name chromium that does what the script says; $printed is the file it is asked for."""
    path = folder / "chromium"
    asked = 'for one in "$@"; do case $one in --print-to-pdf=*) printed=${one#*=};; esac; done'
    path.write_text(f"#!/bin/sh\n{asked}\n{script}")
    path.chmod(0o755)


# --- the card -------------------------------------------------------------------------------------
def test_a_card_has_its_size_and_the_same_bytes_each_time(simulated: AgreementReport) -> None:
    card = to_card(simulated)
    assert card == to_card(simulated)
    with Image.open(io.BytesIO(card)) as image:
        assert image.size == (1200, 630)
        assert image.format == "PNG"


def test_a_card_shows_what_the_report_says(simulated: AgreementReport) -> None:
    """Another sentence and other notices make another picture, also if only the end of the notices differs."""
    lines = simulated.verdict
    other = replace(simulated, verdict=(replace(lines[0], sentence="Something else."), *lines[1:]))
    bare = replace(simulated, notices=())
    long = [replace(simulated, notices=(*simulated.notices, f"{100 * 'Long. '}"[:120] + end)) for end in ("end", "END")]
    assert len({to_card(one) for one in (simulated, other, bare, *long)}) == 5


def test_a_card_of_several_models_is_drawn() -> None:
    report = build_report(simulated_data(Simulated(prompts=6, quality=(-0.5, 1.0, 0.2), annotators=6)))
    assert to_card(report).startswith(b"\x89PNG")


def test_letters_that_no_typeface_has_are_named_instead_of_drawn_as_boxes(simulated: AgreementReport) -> None:
    def named(name: str) -> AgreementReport:
        lines = tuple(replace(line, sentence=line.sentence.replace("Alpha", name)) for line in simulated.verdict)
        return replace(simulated, verdict=lines, study=replace(simulated.study, name=name, model_a=name))

    foreign, spelled = named("模型 🐈\u200d⬛ б"), named("?? [cat]⬛ б")
    assert to_card(foreign) == to_card(spelled)
    for suffix in ("png", "svg"):
        figures = [drawn(one, one.results, "scores-box", suffix) for one in (foreign, spelled) if one.results]
        assert (figures[0] == figures[1]) == (suffix != "svg"), suffix
        assert suffix != "svg" or "模型 🐈" in figures[0].decode()


@pytest.mark.django_db
def test_a_sealed_study_has_no_card() -> None:
    report = report_of(make_study(crossed([[4, 1], [1, 4]], state="open")))
    with pytest.raises(Refused, match="sealed until it closes"):
        to_card(report)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["card", "pdf"])
def test_a_card_and_a_pdf_need_a_file(name: str) -> None:
    make_study(crossed([[4, 1], [1, 4]]))
    with pytest.raises(CommandError, match=f"--format {name} needs --out"):
        call_command("report", "weather", format=name)


@pytest.mark.django_db
def test_the_command_writes_a_card(tmp_path: Path) -> None:
    make_study(crossed([[4, 1], [1, 4]]))
    call_command("report", "weather", format="card", out=tmp_path / "card.png", stdout=io.StringIO())
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")


# --- the page on paper ----------------------------------------------------------------------------
def test_a_page_has_the_name_the_notices_and_its_number(simulated: AgreementReport) -> None:
    style = page_style(simulated, paper="letter")
    assert "size: letter;" in style
    assert r"Simulated\3a  agreement report" in style
    assert r"Simulated votes\3a  120 of 120 votes" in style
    assert 'counter(page) " of " counter(pages)' in style
    assert style in to_html(simulated, paper="letter")


def test_a_name_cannot_leave_the_style_of_a_page(simulated: AgreementReport) -> None:
    report = replace(simulated, study=replace(simulated.study, name='"} </style><script> \\'))
    style = page_style(report)
    assert "<" not in style
    assert style.count("}") == 4
    assert "<script" not in to_html(report)


def test_without_a_browser_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match=r"needs a browser .*: install one of chromium, .* print the HTML file\.$"):
        pdf.write_pdf("<p>", tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()


def test_a_browser_that_prints_nothing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    browser(tmp_path, "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Refused, match=r"chromium could not print the report \(exit status 3\)"):
        pdf.write_pdf("<p>", tmp_path / "report.pdf")


@pytest.mark.django_db
def test_the_command_prints_the_page_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The browser here copies the HTML file that it is given, its last argument."""
    make_study(crossed([[4, 1], [1, 4]], kind="simulated"))
    browser(tmp_path, 'for one in "$@"; do last=$one; done\ncp "${last#file://}" "$printed"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    call_command("report", "weather", format="pdf", paper="letter", out=tmp_path / "report.pdf", stdout=io.StringIO())
    printed = (tmp_path / "report.pdf").read_text()
    assert "size: letter;" in printed
    assert "Simulated votes: 30 of 30 votes were made by a program" in printed


@pytest.mark.slow
@pytest.mark.parametrize("paper", pdf.PAPERS)
def test_the_browser_that_is_there_prints(simulated: AgreementReport, tmp_path: Path, paper: str) -> None:
    pdf.write_pdf(to_html(simulated, paper=paper), tmp_path / "report.pdf")
    printed = (tmp_path / "report.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert len(boxes) > 5, "folds are open on paper"
    assert {(round(float(x)), round(float(y))) for x, y in boxes} == {POINTS[paper]}
