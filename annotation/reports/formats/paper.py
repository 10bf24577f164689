"""Files for a paper: figures with their numbers and captions, and the comparisons as Parquet."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.reports.figures.data import to_csv
from annotation.reports.figures.draw import SUFFIXES, drawn, results_to_draw
from annotation.reports.figures.style import COLUMN
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport
from annotation.reports.printing.blocks import Figure
from annotation.reports.progress import Progress, silent
from annotation.reports.sections.contents import figures_of
from jobs.whole_files import write_all_or_refuse

CAPTIONS = "captions.txt"
_TYPES = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}


def write_figures(
    report: AgreementReport, folder: Path, *, width: int = COLUMN, progress: Progress = silent
) -> list[Path]:
    """Write every figure as PDF, SVG, PNG (300 dots per inch) and CSV, and captions.txt, all or none; return the paths.

    width: in mm, COLUMN or PAGE. The report's notices stand below each figure. Raises Refused while the study is
    sealed.
    """
    results = results_to_draw(report)
    figures, files = list(figures_of(report)), dict[Path, bytes]()
    for done, figure in enumerate(figures):
        progress(done / len(figures), "figures")
        for suffix in SUFFIXES:
            files[folder / f"{figure.name}.{suffix}"] = drawn(report, results, figure.name, suffix, width=width)
        files[folder / f"{figure.name}.csv"] = to_csv(report, results, figure.name)
    files[folder / CAPTIONS] = _captions(report, figures).encode()
    return write_all_or_refuse(files)


def write_comparisons(report: AgreementReport, path: Path) -> int:
    """Write the comparisons as Parquet, in the columns of `results.comparisons[]`; return their number.

    The notices are in a column of their own and the claim in the file's metadata. Raises Refused while sealed.
    """
    results = results_to_draw(report)
    schema = pa.schema([*_columns(), ("notice", pa.string())], metadata={"claim": report.claim})
    notice = " ".join(report.notices)
    names = [field.name for field in fields(ComparisonRow)]
    rows = [{name: getattr(row, name) for name in names} | {"notice": notice} for row in results.comparisons]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return len(rows)


def _columns() -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(ComparisonRow).items():
        (kind,) = [option for option in get_args(hint) or (hint,) if option is not NoneType]
        yield name, _TYPES[kind]


def _captions(report: AgreementReport, figures: list[Figure]) -> str:
    texts = [f"{figure.name}: {figure.title}\n{figure.caption}\n" for figure in figures]
    return "\n".join((*(f"{notice}\n" for notice in report.notices), *texts))
