"""Filters for the numbers and tables of a report."""

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from annotation.reports.printing import numbers
from annotation.reports.printing.blocks import Table

_EQUATION = re.compile(r"(?<=\b[npt]) ([=<>]) ")
_RANGE_OR_DATE = re.compile(r"(?<=\d)([–-])(?=\d)")
NUMBER, NOBODY = ' class="number"', "–"

register = template.Library()
register.filter("score", numbers.score)
register.filter("metric_name", numbers.metric_name)


@register.filter
def unbroken(text: str) -> str:
    """Return a text in which "n =", "p <", a per cent sign, the ends of a range and a date stay on one line."""
    kept = _EQUATION.sub("\u00a0\\1\u00a0", text).replace(" %", "\u00a0%")
    return _RANGE_OR_DATE.sub("\u2060\\1\u2060", kept)


@register.filter
def table_rows(table: Table) -> SafeString:
    """Return the rows as HTML. (In a template, ten thousand rows take several seconds.)"""
    return mark_safe("".join(f"<tr>{_cells(table, row)}</tr>\n" for row in table.rows))  # noqa: S308 - escaped


def _cells(table: Table, row: tuple[str, ...]) -> str:
    return "".join(
        f"<td{NUMBER if column in table.numeric else ''}>"
        f"{_winner(text) if column in table.winners and text != NOBODY else escape(text)}</td>"
        for column, text in enumerate(row)
    )


def _winner(name: str) -> str:
    return f'<span class="winner {escape(name.lower())}">{escape(name)}</span>'
