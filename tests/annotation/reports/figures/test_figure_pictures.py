"""The figures beside stored pictures of themselves, so that another matplotlib changes none of them unseen.

The pictures are made again by FIGURE_PICTURES=write; look at each one before it is stored.
"""

import io
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.figures.style import COLUMN, PAGE, drawing_style
from annotation.reports.findings.results import AgreementReport
from annotation.reports.printing.blocks import FigureName
from annotation.reports.report import build_report
from annotation.reports.sections.contents import figures_of
from benchmarks.simulated_study import simulated_study
from tests.annotation.reports.imagined_images import with_images
from tests.annotation.reports.many_models import Simulated, simulated_data

PICTURES = Path(__file__).with_name("figure_pictures")
DOTS = 80  # per inch
TOLERANCE = 2.5  # of 255, mean over pixels: another version of FreeType moves the edges of letters


@lru_cache(maxsize=1)
def of_two_models() -> AgreementReport:
    return build_report(with_images(simulated_study(comparisons=24, votes=5, annotators=8)))


@lru_cache(maxsize=1)
def of_several() -> AgreementReport:
    return build_report(simulated_data(Simulated(prompts=8, quality=(-0.5, 1.2, 0.2, -1.0), annotators=7)))


def picture(name: FigureName, width: int = COLUMN) -> bytes:
    """The figure as a small PNG file."""
    buffer, report = io.BytesIO(), of_several() if name in ("ranking", "pairs") else of_two_models()
    assert report.results
    with drawing_style(width=width):
        DRAWINGS[name](report, report.results).savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"), dtype=np.float64)


@pytest.mark.parametrize("width", [COLUMN, PAGE])
@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_looks_like_its_stored_picture(name: FigureName, width: int) -> None:
    drawn, stored = picture(name, width), PICTURES / f"{name}-{width}mm.png"
    if os.environ.get("FIGURE_PICTURES") == "write":
        stored.parent.mkdir(exist_ok=True)
        stored.write_bytes(drawn)
    found, expected = pixels(drawn), pixels(stored.read_bytes())
    assert found.shape == expected.shape
    assert float(np.abs(found - expected).mean()) < TOLERANCE


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_no_word_is_cut(width: int) -> None:
    for report in (of_two_models(), of_several()):
        assert report.results
        for named in figures_of(report):
            with drawing_style(width=width):
                figure = DRAWINGS[named.name](report, report.results)
                figure.draw_without_rendering()
                drawn = figure.get_tightbbox()
            ends = np.array([drawn.x0, drawn.y0, *(figure.get_size_inches() - (drawn.x1, drawn.y1))])
            assert (ends > -0.01).all(), named.name


def test_another_figure_does_not_look_like_it() -> None:
    one, other = (pixels(picture(name)) for name in ("margin", "scores-density"))
    assert one.shape == other.shape
    assert float(np.abs(one - other).mean()) > TOLERANCE
