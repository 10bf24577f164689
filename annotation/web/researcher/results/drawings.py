"""Drawings on a page, each with an address for light pages and one for dark pages."""

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString


def drawing(address: str, *, alt: str, size: tuple[int, int] | None = None) -> SafeString:
    """Return the markup of the drawing at `address` for light and dark pages. `size` is in CSS px."""
    dark = f"{address}{'&' if '?' in address else '?'}theme=dark"
    width, height = size or (None, None)
    context = {"address": address, "dark": dark, "alt": alt, "width": width, "height": height}
    return render_to_string("reports/themed_image.html", context)


def is_for_a_dark_page(request: HttpRequest) -> bool:
    """Return whether the address for dark pages was requested."""
    return request.GET.get("theme") == "dark"
