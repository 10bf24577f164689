"""The report as one JSON document, read back from it, and as a CSV table of it; docs/report.md names each key."""

import csv
import io
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json as parsed

from annotation.reports.findings.results import AgreementReport
from generation.tables.formulas import cell

# Keys that the document has directly under `results`, by the finding that holds them.
_UNDER_RESULTS = {
    "agreement": ("baseline", "fisher_exact", "against_one_half", "chance_corrected", "confusion"),
    "people": ("leave_one_out",),
    "bias": ("annotators",),
}
HEAD = ("key", "item", "value", "low", "high", "level", "n", "method", "reason", "population")
_ESTIMATE = {"value", "low", "high", "level", "n", "method", "reason", "population"}
_TEST = {"statistic", "p_value", "n", "method", "reason"}


@lru_cache(maxsize=32)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's adapter for a type, cached because building one takes long."""
    return TypeAdapter(kind)


_adapter(AgreementReport)  # a tenth of a second, which no reader of a report waits for


def as_document(value: Any) -> Any:
    """Return a frozen value as dictionaries, tuples, numbers, texts; times as ISO 8601."""
    kind: Any = type(value)
    document = _adapter(kind).dump_python(value)
    if not isinstance(value, AgreementReport):
        return document
    results = document["results"]
    for finding, keys in _UNDER_RESULTS.items() if results is not None else ():
        results |= {key: results[finding].pop(key) for key in keys}
    return document


def to_json(report: AgreementReport) -> str:
    """Return the document as text. Raises ValueError for a value that JSON cannot express, such as NaN."""
    return json.dumps(as_document(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> AgreementReport:
    """Return the report that `to_json` wrote. Raises ValueError for any other document."""
    document = parsed(text, allow_inf_nan=False)
    try:
        results = document["results"]
        for finding, keys in _UNDER_RESULTS.items() if results is not None else ():
            results[finding] |= {key: results.pop(key) for key in keys}
    except (KeyError, TypeError) as error:
        raise ValueError(f"the document is no report: {error}") from error
    report: AgreementReport = _adapter(AgreementReport).validate_python(document)
    return report


# --- CSV ----------------------------------------------------------------------------------------
def to_csv(report: AgreementReport) -> str:
    """Return every value of the JSON document as a row of one table.

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
    elif isinstance(value, (list, tuple)):
        for place, element in enumerate(value, start=1):
            yield from _rows(element, key, f"{item}.{place}" if item else str(place))
    else:
        yield (key, item, cell(value), *[""] * 7)


def _of_dictionary(value: dict[str, Any], key: str, item: str) -> Iterator[tuple[Any, ...]]:
    if value.keys() == _ESTIMATE:
        yield (key, item, *(value[name] for name in HEAD[2:]))
    elif value.keys() == _TEST:
        described = ("", "", "", value["n"], value["method"], value["reason"], "")
        yield (key, item, value["p_value"], *described)
        yield (f"{key}.statistic", item, value["statistic"], *described)
    else:
        for name, element in value.items():
            yield from _rows(element, f"{key}.{name}" if key else name, item)
