"""The figures of a report by name, drawn by matplotlib without a display and without pyplot's global state."""

from collections.abc import Callable

from matplotlib.figure import Figure

from annotation.reports.figures import agreement, ranking, scores, votes
from annotation.reports.figures.style import drawing_style
from annotation.reports.figures.svg import to_svg
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import FigureName

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


def draw(report: AgreementReport, name: FigureName) -> str:
    """Return a figure of the report as an <svg> element; equal reports give equal bytes.

    Raises ValueError for a sealed report.
    """
    if report.results is None:
        raise ValueError("a sealed report has no figures")
    with drawing_style():
        return to_svg(DRAWINGS[name](report, report.results), name=name)
