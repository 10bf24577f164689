"""Files for a paper: figures with their numbers and captions, the report in LaTeX, the literature, Parquet."""

import io
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from textwrap import fill
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.reports.figures.data import to_csv
from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.figures.style import QUIET, drawable, drawing_style
from annotation.reports.figures.svg import as_file, to_svg
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.formats import latex
from annotation.reports.printing.blocks import Figure, FigureName
from annotation.reports.printing.references import BIBLIOGRAPHY
from annotation.reports.progress import Progress, silent
from annotation.reports.sections.contents import figures_of
from jobs.refusals import Refused
from jobs.whole_files import whole_file

CAPTIONS = "captions.txt"
_DPI = 300
_NOTICE_WIDTH = 84  # letters of the small print below a figure
# No date, so that equal reports give equal bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {},
    "png": {"Software": None},
}
_TYPES = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}


def write_figures(report: AgreementReport, folder: Path, *, progress: Progress = silent) -> list[Path]:
    """Write every figure as PDF, SVG, PNG (300 dots per inch) and CSV, and captions.txt; return the paths.

    The report's notices stand below each figure. Raises Refused while the study is sealed.
    """
    results = _results(report)
    figures = figures_of(report)
    written = []
    for done, figure in enumerate(figures):
        progress(done / len(figures), "figures")
        written += [
            _write(folder / f"{figure.name}.{suffix}", drawn(report, results, figure.name, suffix))
            for suffix in _METADATA
        ]
        written.append(_write(folder / f"{figure.name}.csv", to_csv(report, results, figure.name)))
    return [*written, _write(folder / CAPTIONS, _captions(report, figures).encode())]


def write_latex(report: AgreementReport, folder: Path, *, progress: Progress = silent) -> list[Path]:
    """Write report.tex, the figures that it shows as PDF, and references.bib; return the paths.

    Raises Refused while the study is sealed.
    """
    results, figures = _results(report), figures_of(report)
    written = []
    for done, figure in enumerate(figures):
        progress(done / len(figures), "figures")
        path = folder / latex.FIGURES / f"{figure.name}.pdf"
        written.append(_write(path, drawn(report, results, figure.name, "pdf")))
    text = _write(folder / "report.tex", latex.to_latex(report).encode())
    return [text, _write(folder / "references.bib", bibliography().encode()), *written]


def drawn(report: AgreementReport, results: Results, name: FigureName, suffix: str) -> bytes:
    """Return a figure as the bytes of a PDF, SVG or PNG file."""
    buffer = io.BytesIO()
    with drawing_style(are_letters_outlines=suffix != "svg", pdf__fonttype=42):  # TrueType, which journals take
        figure = DRAWINGS[name](report, results)
        if report.notices:
            notices = " ".join(report.notices)
            small_print = fill(notices if suffix == "svg" else drawable(notices), _NOTICE_WIDTH)
            figure.supxlabel(small_print, fontsize=5.5, color=QUIET, x=0.01, ha="left")
        if suffix == "svg":
            return as_file(to_svg(figure, name=name)).encode()
        figure.savefig(buffer, format=suffix, dpi=_DPI, metadata=_METADATA[suffix])
    return buffer.getvalue()


def bibliography() -> str:
    """Return the literature of the methods that a report uses, as BibTeX."""
    return BIBLIOGRAPHY.read_text(encoding="utf-8")


def write_comparisons(report: AgreementReport, path: Path) -> int:
    """Write the comparisons as Parquet, in the columns of `results.comparisons[]`; return their number.

    The notices are in a column of their own and the claim in the file's metadata. Raises Refused while sealed.
    """
    results = _results(report)
    schema = pa.schema([*_columns(), ("notice", pa.string())], metadata={"claim": report.claim})
    notice = " ".join(report.notices)
    names = [field.name for field in fields(ComparisonRow)]
    rows = [{name: getattr(row, name) for name in names} | {"notice": notice} for row in results.comparisons]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return len(rows)


def _results(report: AgreementReport) -> Results:
    if report.results is None:
        raise Refused("The study is sealed until it closes: it has no figures and no results yet.")
    return report.results


def _columns() -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(ComparisonRow).items():
        (kind,) = [option for option in get_args(hint) or (hint,) if option is not NoneType]
        yield name, _TYPES[kind]


def _captions(report: AgreementReport, figures: list[Figure]) -> str:
    texts = [f"{figure.name}: {figure.title}\n{figure.caption}\n" for figure in figures]
    return "\n".join((*(f"{notice}\n" for notice in report.notices), *texts))


def _write(path: Path, contents: bytes) -> Path:
    with whole_file(path) as temporary:
        temporary.write_bytes(contents)
    return path
