"""Rows of a report's tables."""

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from annotation.reports.sections.blocks import Table

register = template.Library()


@register.filter
def table_rows(table: Table) -> SafeString:
    """The rows as HTML. In Python, because ten thousand rows take a template several seconds."""
    return mark_safe("".join(f"<tr>{_cells(table, row)}</tr>\n" for row in table.rows))  # noqa: S308 - escaped


def _cells(table: Table, row: tuple[str, ...]) -> str:
    return "".join(
        f"<td{NUMBER if column in table.numeric else ''}>"
        f"{_winner(text) if column in table.winners and text != NOBODY else escape(text)}</td>"
        for column, text in enumerate(row)
    )


def _winner(name: str) -> str:
    return f'<span class="winner {escape(name.lower())}">{escape(name)}</span>'


NUMBER, NOBODY = ' class="number"', "–"
