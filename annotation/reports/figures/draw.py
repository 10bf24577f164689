"""The figures of a report by name, drawn by matplotlib without a display and without pyplot's global state."""

from collections.abc import Callable

import matplotlib as mpl
from matplotlib.figure import Figure

from annotation.reports.agreement_report import AgreementReport, Results
from annotation.reports.figures import agreement, captions, scores, votes
from annotation.reports.figures.svg import STYLE, to_svg

DRAWINGS: dict[str, Callable[[AgreementReport, Results], Figure]] = {
    captions.CLAIM: agreement.claim,
    captions.AGREEMENT: agreement.by_treatment_of_ties,
    captions.BOOTSTRAP: agreement.bootstrap,
    captions.MARGIN: agreement.by_margin,
    captions.BOX: scores.box,
    captions.DENSITY: scores.density,
    captions.IMAGES: scores.winners_by_images,
    captions.SCORES_BY_IMAGES: scores.scores_by_images,
    captions.VOTES: votes.by_comparison,
    captions.CALIBRATION: votes.calibration_curve,
    captions.VOTERS: votes.by_annotator,
}


def draw(report: AgreementReport, name: str) -> str:
    """Return a figure of the report as an <svg> element; equal reports give equal bytes.

    Raises ValueError for a sealed report, KeyError for a name without a drawing.
    """
    if report.results is None:
        raise ValueError("a sealed report has no figures")
    with mpl.rc_context(STYLE):
        return to_svg(DRAWINGS[name](report, report.results), name=name)
