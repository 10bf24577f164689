"""What goes into a paper: figures as files, the literature, comparisons as Parquet."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from annotation.models import Study
from annotation.reports.formats.document import as_document
from annotation.reports.printing.references import bibliography
from annotation.reports.sections.contents import figures_of
from tests.annotation.reports.voted_studies import crossed, make_study, report_of

pytestmark = pytest.mark.django_db


def simulated() -> Study:
    return make_study(crossed([[6, 1], [1, 4]], kind="simulated", state="closed"))


def test_every_figure_is_written_for_paper_with_its_numbers_and_the_notice(tmp_path: Path) -> None:
    study = simulated()
    said = StringIO()
    call_command("report", study.slug, format="figures", out=tmp_path / "figures", stdout=said)
    report = report_of(study)
    names = [figure.name for figure in figures_of(report)]
    assert {"claim", "scores-box", "scores-density"} <= set(names)
    captions = (tmp_path / "figures" / "captions.txt").read_text()
    for figure in figures_of(report):
        pdf = (tmp_path / "figures" / f"{figure.name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"/CreationDate" not in pdf
        with Image.open(tmp_path / "figures" / f"{figure.name}.png") as image:
            assert image.width == 1003  # 85 mm at 300 dots per inch
        svg = (tmp_path / "figures" / f"{figure.name}.svg").read_text()
        assert "@font-face" in svg
        assert "http" not in svg.replace("http://www.w3.org/", "")
        head, *rows = (tmp_path / "figures" / f"{figure.name}.csv").read_text().splitlines()
        assert len(rows) >= 1
        assert len(head.split(",")) >= 2
        assert figure.caption in captions
        assert f"{figure.name}.pdf" in said.getvalue()
    assert report.notices[0] in captions
    assert said.getvalue().splitlines()[-1] == report.claim

    # The same report gives the same files.
    call_command("report", study.slug, format="figures", out=tmp_path / "again", stdout=StringIO())
    for path in (tmp_path / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_comparisons_as_parquet_are_those_of_the_document(tmp_path: Path) -> None:
    study = simulated()
    out = tmp_path / "comparisons.parquet"
    call_command("report", study.slug, format="parquet", out=out, stdout=StringIO())
    report = report_of(study)
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    assert report.results is not None
    assert [{**row, "notice": None} for row in rows] == [
        {**as_document(row), "notice": None} for row in report.results.comparisons
    ]
    assert {row["notice"] for row in rows} == {" ".join(report.notices)}
    assert pq.read_schema(out).metadata[b"claim"].decode() == report.claim


@pytest.mark.parametrize("report_format", ["figures", "parquet"])
def test_a_sealed_study_has_neither(tmp_path: Path, report_format: str) -> None:
    study = make_study(crossed([[4, 1], [1, 4]], state="open"))
    out = tmp_path / "out"
    with pytest.raises(CommandError, match="sealed until it closes"):
        call_command("report", study.slug, format=report_format, out=out)
    assert not out.exists()
    with pytest.raises(CommandError, match="needs --out"):
        call_command("report", study.slug, format=report_format)


def test_the_bibliography_is_well_formed() -> None:
    text = bibliography()
    entries = re.split(r"\n(?=@)", text.strip())
    keys = [match.group(1) for entry in entries if (match := re.match(r"@\w+\{(\w+),", entry))]
    assert len(keys) == len(entries) == len(set(keys))
    for entry in entries:
        assert entry.count("{") == entry.count("}")
        assert {"author", "title", "year"} <= set(re.findall(r"^  (\w+) = ", entry, re.MULTILINE)), entry
    assert "2404.08799" in text
    assert text.isascii()


def test_the_bibliography_comes_from_the_command(tmp_path: Path) -> None:
    out = tmp_path / "references.bib"
    call_command("report", simulated().slug, format="bibtex", out=out, stdout=StringIO())
    assert out.read_text() == bibliography()
