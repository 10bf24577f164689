"""Drawings on a page: one address for a light page and one for a dark page."""

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

_DARK = "theme=dark"


def drawing(address: str, *, alt: str, size: tuple[int, int] | None = None) -> SafeString:
    """The markup of the drawing at `address`, readable on a light and on a dark page. `size` is in CSS px."""
    dark = f"{address}{'&' if '?' in address else '?'}{_DARK}"
    width, height = size or (None, None)
    context = {"address": address, "dark": dark, "alt": alt, "width": width, "height": height}
    return render_to_string("reports/drawing.html", context)


def is_for_a_dark_page(request: HttpRequest) -> bool:
    """Whether the file is asked for by the dark address."""
    return request.GET.get("theme") == "dark"
