"""The downloads of a report: its formats, figures, votes and replay bundle; and the jobs that write the long ones.

A file that a job wrote is stored for an hour under a key: the hash of its report, combined with the study's stamp if
the file is made from the study itself (the votes, the replay bundle). So such a file made before a withdrawal is never
served after it, and is deleted within the hour.
"""

import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from annotation.models import ReportFileJob, Study
from annotation.reports.bundle.replay import write_bundle
from annotation.reports.explorer.contact_sheets import contact_sheets
from annotation.reports.exports.votes import write_votes
from annotation.reports.figures.style import PAGE
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.card import to_card
from annotation.reports.formats.document import to_csv, to_json
from annotation.reports.formats.html import to_html
from annotation.reports.formats.latex import to_latex, write_latex
from annotation.reports.formats.paper import write_comparisons, write_figures
from annotation.reports.formats.pdf import write_pdf
from annotation.reports.formats.plain_text import to_markdown, to_text
from annotation.reports.pilot.stored_plans import assumed_in, write_plans
from annotation.reports.printing.references import bibliography
from annotation.reports.progress import Progress, silent
from annotation.reports.report_jobs.report_cache import (
    Download,
    Write,
    file_key,
    files_folder,
    finished_report,
    stored_path,
)
from annotation.reports.report_jobs.watched_jobs import claimed_row, job_progress
from annotation.studies.current import current_manifest
from jobs.leases import Lease
from jobs.refusals import Refused
from jobs.whole_files import whole_file
from jobs.zip_files import zip_entry

LIFETIME = timedelta(hours=1)


# --- files --------------------------------------------------------------------------------------
# How a report becomes text.
FORMATS: dict[str, Callable[[AgreementReport], str]] = {
    "html": to_html,
    "json": to_json,
    "csv": to_csv,
    "latex": to_latex,
    "txt": to_text,
    "md": to_markdown,
}


def render(report: AgreementReport, report_format: str) -> str:
    """Return the report as text in one of FORMATS; equal reports give equal text."""
    return FORMATS[report_format](report)


def report_text(
    report: AgreementReport, report_format: str, study: Study | None, *, progress: Progress = silent
) -> str:
    """Return the report in one of FORMATS; the HTML file has contact sheets if the study is given."""
    return html_text(report, study, progress=progress) if report_format == "html" else render(report, report_format)


def html_text(report: AgreementReport, study: Study | None, *, paper: str = "A4", progress: Progress = silent) -> str:
    """Return the HTML file, with contact sheets if the study is given. paper: the size of its pages in print."""
    if study is None:
        return to_html(report, paper=paper)
    progress(0.0, "figures")
    return to_html(report, paper=paper, sheets=lambda room: contact_sheets(study, report, room=room, progress=progress))


def _text(report_format: str) -> Write:
    def write(study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
        path.write_text(report_text(report, report_format, study, progress=progress), encoding="utf-8")

    return write


def _zipped(write_files: Callable[..., list[Path]]) -> Write:
    """Return what writes a zip file of the files that `write_files` writes into a folder."""

    def write(_study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
        with TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as file:
            for written in write_files(report, Path(folder), progress=progress):
                file.writestr(zip_entry(written.relative_to(folder).as_posix()), written.read_bytes())

    return write


def _printed(paper: str) -> Write:
    """Return what prints the HTML file on pages of this size."""

    def write(study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
        write_pdf(html_text(report, study, paper=paper, progress=progress), path)

    return write


def _votes(study: Study, _report: AgreementReport, path: Path, progress: Progress) -> None:
    progress(0.0, "votes")
    write_votes(study, path, manifest=current_manifest(study), export_format="csv")


def _bundle(study: Study, report: AgreementReport, path: Path, progress: Progress) -> None:
    write_bundle(study, path, metric=report.study.metric, progress=progress)


PDF = "application/pdf"
DOWNLOADS = {
    "html": Download("HTML", "html", "text/html; charset=utf-8", _text("html"), is_long=True),
    "pdf": Download("PDF", "pdf", PDF, _printed("A4"), is_long=True),
    "pdf-letter": Download("PDF (letter)", "letter.pdf", PDF, _printed("letter"), is_long=True),
    "json": Download("JSON", "json", "application/json", _text("json")),
    "csv": Download("CSV", "csv", "text/csv; charset=utf-8", _text("csv")),
    "latex": Download("LaTeX", "tex", "application/x-tex; charset=utf-8", _text("latex")),
    "txt": Download("Text", "txt", "text/plain; charset=utf-8", _text("txt")),
    "md": Download("Markdown", "md", "text/markdown; charset=utf-8", _text("md")),
    "card": Download(
        "Card (PNG)",
        "card.png",
        "image/png",
        lambda _study, report, path, _progress: path.write_bytes(to_card(report)),
        has_results=True,
    ),
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
    "latex-figures": Download(
        "LaTeX with figures", "latex.zip", "application/zip", _zipped(write_latex), has_results=True, is_long=True
    ),
    "figures": Download(
        "Figures (PDF, SVG, PNG, CSV)",
        "figures.zip",
        "application/zip",
        _zipped(write_figures),
        has_results=True,
        is_long=True,
    ),
    "figures-wide": Download(
        f"Figures, {PAGE} mm wide",
        f"figures-{PAGE}mm.zip",
        "application/zip",
        _zipped(partial(write_figures, width=PAGE)),
        has_results=True,
        is_long=True,
    ),
    "votes": Download("Votes (CSV)", "votes.csv", "text/csv; charset=utf-8", _votes, is_long=True),
    "bundle": Download("Replay bundle", "bundle.zip", "application/zip", _bundle, has_results=True, is_long=True),
}


def download_called(name: str) -> Download:
    """Return the file of this name: one of DOWNLOADS, or the plans of a pilot, which only its page reads."""
    assumed = assumed_in(name)
    if assumed is None:
        return DOWNLOADS[name]
    return Download("Sample size", "json", "application/json", partial(write_plans, assumed=assumed))


# --- jobs ---------------------------------------------------------------------------------------
def run_file_job(job: ReportFileJob, lease: Lease) -> None:
    """Write the file of a claimed job. A second run writes the same file."""
    report = finished_report(job.report_job)
    if report is None:
        raise Refused("The report is not there any more: look at its page, then ask for the file again.")
    key, before = file_key(job), job.key
    with whole_file(stored_path(key, job.name)) as path:
        download_called(job.name).write(job.report_job.study, report, path, job_progress(job, lease))
    claimed_row(job).update(key=key, percent=100, step="")
    if before not in ("", key):
        stored_path(before, job.name).unlink(missing_ok=True)


def delete_old_files(now: datetime) -> None:
    """Delete the files that are older than LIFETIME, also those of deleted studies; a request writes them again."""
    for path in files_folder().glob("*"):
        with suppress(FileNotFoundError):  # another worker deleted it first
            if path.stat().st_mtime < (now - LIFETIME).timestamp():
                path.unlink()
