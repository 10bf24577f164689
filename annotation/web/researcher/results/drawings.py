"""Drawings on a page, each with an address for light pages and one for dark pages, and their answers."""

from csp.constants import NONE, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

# For the view of a drawing, which styles itself, holds its typeface, and loads nothing.
draws_alone = csp_replace({"default-src": [NONE], "style-src": [UNSAFE_INLINE], "font-src": ["data:"]})


def drawing(address: str, *, alt: str, size: tuple[int, int] | None = None) -> SafeString:
    """Return the markup of the drawing at `address` for light and dark pages. `size` is in CSS px."""
    dark = f"{address}{'&' if '?' in address else '?'}theme=dark"
    width, height = size or (None, None)
    context = {"address": address, "dark": dark, "alt": alt, "width": width, "height": height}
    return render_to_string("reports/themed_image.html", context)


def is_for_a_dark_page(request: HttpRequest) -> bool:
    """Return whether the address for dark pages was requested."""
    return request.GET.get("theme") == "dark"


def svg_response(svg: str | bytes) -> HttpResponse:
    """Return the answer that holds a drawing."""
    return HttpResponse(svg, content_type="image/svg+xml")
