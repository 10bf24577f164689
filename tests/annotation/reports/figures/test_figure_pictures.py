"""The figures beside stored pictures of themselves, so that another matplotlib changes none of them unseen.

The pictures are made again by FIGURE_PICTURES=write; look at each one before it is stored.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.figures.style import drawing_style
from annotation.reports.findings.results import AgreementReport
from annotation.reports.printing.blocks import FigureName
from annotation.reports.report import build_report
from benchmarks.simulated_study import simulated_study
from tests.annotation.reports.voted_studies import FIGURES

PICTURES = Path(__file__).with_name("figure_pictures")
DOTS = 80  # per inch
TOLERANCE = 2.5  # of 255, mean over pixels: another version of FreeType moves the edges of letters


@pytest.fixture(scope="module")
def report() -> AgreementReport:
    return build_report(simulated_study(comparisons=24, votes=5, annotators=8))


def picture(report: AgreementReport, name: FigureName) -> bytes:
    """The figure as a small PNG file."""
    buffer = io.BytesIO()
    assert report.results
    with drawing_style():
        DRAWINGS[name](report, report.results).savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"), dtype=np.float64)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_like_its_stored_picture(report: AgreementReport, name: FigureName) -> None:
    drawn, stored = picture(report, name), PICTURES / f"{name}.png"
    if os.environ.get("FIGURE_PICTURES") == "write":
        stored.parent.mkdir(exist_ok=True)
        stored.write_bytes(drawn)
    found, expected = pixels(drawn), pixels(stored.read_bytes())
    assert found.shape == expected.shape
    assert float(np.abs(found - expected).mean()) < TOLERANCE


def test_another_figure_does_not_look_like_it(report: AgreementReport) -> None:
    one, other = (pixels(picture(report, name)) for name in ("margin", "scores-density"))
    assert one.shape == other.shape
    assert float(np.abs(one - other).mean()) > TOLERANCE
