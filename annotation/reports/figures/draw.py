"""The figures of a report by name, drawn by matplotlib without a display and without pyplot's global state."""

import io
from collections.abc import Callable
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

from annotation.reports.figures import agreement, ranking, scores, votes
from annotation.reports.figures.style import COLUMN, PAGE, QUIET, drawable, drawing_style
from annotation.reports.figures.svg import as_file, to_svg
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import FigureName
from jobs.refusals import Refused

DRAWINGS: dict[FigureName, Callable[[AgreementReport, Results], Figure]] = {
    "claim": agreement.claim,
    "ranking": ranking.both_rankings,
    "pairs": ranking.pairs_of_models,
    "agreement": agreement.by_treatment_of_ties,
    "bootstrap": agreement.bootstrap,
    "margin": agreement.by_margin,
    "scores-paired": scores.paired,
    "scores-box": scores.box,
    "scores-density": scores.density,
    "images": scores.winners_by_images,
    "scores-images": scores.scores_by_images,
    "votes": votes.by_comparison,
    "calibration": votes.calibration_curve,
    "disagreements": votes.map_of_disagreements,
    "annotators": votes.by_annotator,
}

_DPI = 300
_LETTERS_OF_NOTICES = {COLUMN: 84, PAGE: 176}  # of a line of the small print below a figure
# No date, so that equal reports give equal bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {},
    "png": {"Software": None},
}
SUFFIXES = tuple(_METADATA)


def draw(report: AgreementReport, name: FigureName) -> str:
    """Return a figure of the report as an <svg> element; equal reports give equal bytes.

    Raises ValueError for a sealed report.
    """
    if report.results is None:
        raise ValueError("a sealed report has no figures")
    with drawing_style():
        return to_svg(DRAWINGS[name](report, report.results), name=name)


def drawn(report: AgreementReport, results: Results, name: FigureName, suffix: str, *, width: int = COLUMN) -> bytes:
    """Return a figure as the bytes of a PDF, SVG or PNG file. width: in mm, COLUMN or PAGE."""
    buffer = io.BytesIO()
    # TrueType, which journals take.
    with drawing_style(width=width, are_letters_outlines=suffix != "svg", pdf__fonttype=42):
        figure = DRAWINGS[name](report, results)
        if report.notices:
            notices = " ".join(report.notices)
            small_print = fill(notices if suffix == "svg" else drawable(notices), _LETTERS_OF_NOTICES[width])
            figure.supxlabel(small_print, fontsize=5.5, color=QUIET, x=0.01, ha="left")
        if suffix == "svg":
            return as_file(to_svg(figure, name=name)).encode()
        figure.savefig(buffer, format=suffix, dpi=_DPI, metadata=_METADATA[suffix])
    return buffer.getvalue()


def results_to_draw(report: AgreementReport) -> Results:
    """Return the results of a report. Raises Refused while the study is sealed."""
    if report.results is None:
        raise Refused("The study is sealed until it closes: it has no figures and no results yet.")
    return report.results
