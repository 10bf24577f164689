"""A report: its document, its claim, and its numbers as rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from semblance_client.tables import frame_of

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("key", "value", "low", "high", "level", "n", "method")


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a study. `document` is what `report --format json` writes, as docs/report.md explains it."""

    document: dict[str, Any] = field(repr=False)

    @property
    def claim(self) -> str:
        """The claim: the verdict as one text; while the study is sealed, a sentence that says so."""
        return str(self.document.get("claim") or "")

    @property
    def notices(self) -> list[str]:
        """The notices: what must be known before a number is quoted."""
        return list(self.document.get("notices", ()))

    @property
    def is_sealed(self) -> bool:
        """Whether the study was sealed: the report then holds no result."""
        return self.document.get("results") is None

    def estimates(self) -> list[dict[str, Any]]:
        """Return every number with an interval: its key in the document, value, bounds, level, n and method."""
        results = self.document.get("results") or {}
        return [{"key": key} | {name: one.get(name) for name in COLUMNS[1:]} for key, one in _estimates(results, "")]

    def estimates_frame(self) -> "DataFrame":
        """Return `estimates` as a DataFrame. Needs pandas."""
        return frame_of(self.estimates(), COLUMNS)

    def _repr_html_(self) -> str:
        notices = "".join(f"<p><strong>{escape(notice)}</strong></p>" for notice in self.notices)
        study = escape(str(self.document.get("study", {}).get("name", "")))
        claim = escape(self.claim or "The study is sealed: there is no result until it closes.")
        headline = (self.document.get("results") or {}).get("agreement", {}).get("headline", {})
        return f"<div><h3>{study}</h3><blockquote>{claim}</blockquote>{_headline(headline)}{notices}</div>"


def _headline(headline: Mapping[str, Any]) -> str:
    values = [headline.get(name) for name in ("value", "low", "high")]
    if not all(isinstance(value, float) for value in values):
        return ""
    value, low, high = (f"{100 * float(one):.1f} %" for one in values if one is not None)
    method = escape(str(headline.get("method", "")))
    return f"<p>Agreement <b>{value}</b> [{low}, {high}], n = {headline.get('n')}, {method}</p>"


def _estimates(value: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        if {"value", "low", "high"} <= value.keys():
            yield key, value
            return
        for name, inner in value.items():
            yield from _estimates(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _estimates(inner, f"{key}[{place}]")
