"""Everything that can be taken away from a report: its formats, the figures, the literature, the replay bundle."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from annotation.models import Study
from annotation.reports.agreement_report import AgreementReport
from annotation.reports.bundle.replay import write_bundle
from annotation.reports.formats.contact_sheets import contact_sheets
from annotation.reports.formats.html import to_html
from annotation.reports.formats.paper import bibliography, write_comparisons, write_figures
from annotation.reports.formats.render import FORMATS, render
from annotation.reports.progress import Progress, silent

Write = Callable[[Study, AgreementReport, Path, Progress], object]


@dataclass(frozen=True, slots=True)
class Download:
    """A file made from a study's report: what it is called, what it is declared as, and how it is written.

    has_results: it holds nothing but results, so that there is none while the study is sealed. is_long: it may take
    more than a moment, so that a page has it made by a task. is_of_study: it is made from the study as it stands, not
    from the report alone.
    """

    label: str
    suffix: str
    content_type: str
    write: Write
    has_results: bool = False
    is_long: bool = False
    is_of_study: bool = False


def text_of(report: AgreementReport, report_format: str, study: Study | None, *, progress: Progress = silent) -> str:
    """The report in one of FORMATS; the HTML file with contact sheets where the study's images are at hand."""
    if report_format == "html" and study is not None:
        progress(0.0, "figures")
        return to_html(report, sheets=lambda room: contact_sheets(study, report, room=room, progress=progress))
    return render(report, report_format)


def _text(report_format: str) -> Write:
    def write(study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
        path.write_text(text_of(report, report_format, study, progress=progress), encoding="utf-8")

    return write


def _figures(_study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
    """A zip file of what `write_figures` writes."""
    with TemporaryDirectory() as folder, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for figure in write_figures(report, Path(folder), progress=progress):
            file.write(figure, figure.name)


def _bundle(study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
    write_bundle(study, path, metric=report.study.metric, progress=progress)


DOWNLOADS = {
    **{
        name: Download(one.label, one.suffix, one.content_type, _text(name), is_long=name == "html")
        for name, one in FORMATS.items()
    },
    "bibtex": Download(
        "BibTeX",
        "bib",
        "application/x-bibtex; charset=utf-8",
        lambda _study, _report, path, _progress: path.write_text(bibliography(), encoding="utf-8"),
    ),
    "parquet": Download(
        "Parquet",
        "parquet",
        "application/vnd.apache.parquet",
        lambda _study, report, path, _progress: write_comparisons(report, path),
        has_results=True,
    ),
    "figures": Download(
        "Figures (PDF, PNG)", "figures.zip", "application/zip", _figures, has_results=True, is_long=True
    ),
    "bundle": Download(
        "Replay bundle", "bundle.zip", "application/zip", _bundle, has_results=True, is_long=True, is_of_study=True
    ),
}
