"""The body of a report's page. A process renders it once for each report: it takes longer than all the rest."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

MOST_LETTERS = 16_000_000  # of the pages that one process keeps; one of 10,000 comparisons takes half a million


@cached(
    LRUCache(MOST_LETTERS, getsizeof=len),
    key=lambda of, _context: of,
    lock=Lock(),
)
def report_body(_of: Hashable, context: Callable[[], dict[str, Any]]) -> SafeString:
    """Return reports/body.html, rendered with the context that the function returns.

    _of: everything that the context is made from, such as the hash of the report: a body is never older than that.
    """
    return mark_safe(render_to_string("reports/body.html", context()))  # noqa: S308 - a rendered template
