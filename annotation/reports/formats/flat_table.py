"""The report as one CSV table: one row a value, named by its path in the JSON document."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from annotation.reports.agreement_report import AgreementReport
from annotation.reports.formats.document import as_document
from generation.tables.formulas import cell

HEAD = ("key", "item", "value", "low", "high", "level", "n", "method", "reason")
_ESTIMATE = {"value", "low", "high", "level", "n", "method", "reason"}
_TEST = {"statistic", "p_value", "n", "method", "reason"}


def to_csv(report: AgreementReport) -> str:
    """Every value of the JSON document.

    key: the path, without places in lists. item: places in lists from 1, joined by dots (for example which
    comparison). A statistic or test is one row with its interval, n, method and reason; a test's value is its p-value
    and its statistic a row of its own. Empty cells are values that do not exist.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(_rows(as_document(report), "", ""))
    return buffer.getvalue()


def _rows(value: Any, key: str, item: str) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield from _of_dictionary(value, key, item)
    elif isinstance(value, list):
        for place, element in enumerate(value, start=1):
            yield from _rows(element, key, f"{item}.{place}" if item else str(place))
    else:
        yield (key, item, cell(value), *[""] * 6)


def _of_dictionary(value: dict[str, Any], key: str, item: str) -> Iterator[tuple[Any, ...]]:
    if value.keys() == _ESTIMATE:
        yield (key, item, *(value[name] for name in HEAD[2:]))
    elif value.keys() == _TEST:
        yield (key, item, value["p_value"], "", "", "", value["n"], value["method"], value["reason"])
        yield (f"{key}.statistic", item, value["statistic"], "", "", "", value["n"], value["method"], value["reason"])
    else:
        for name, element in value.items():
            yield from _rows(element, f"{key}.{name}" if key else name, item)
