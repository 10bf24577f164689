"""The look of the figures, and their SVG files.

The files are the same bytes each time, follow a light or dark page, and hold text as text.
"""

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

INK, QUIET, LINE = "#1d1f21", "#575c61", "#c9cbcc"
# Each model's mark, on the pages too (static/pages.css; a test compares them). No other number has these shapes.
MODEL_COLOURS = {"A": "#0072b2", "B": "#d55e00"}  # Okabe and Ito
MODEL_SHAPES = {"A": "s", "B": "o"}  # square and circle, as matplotlib names them
TIE_COLOUR = "#8a8a8a"

# What a page that holds the drawing may set (static/reports/report.css does).
_VARIABLES = {INK: "--ink", QUIET: "--quiet", LINE: "--line"}
_DARK = "svg {--ink: #ececec; --quiet: #a3a8ad; --line: #3b3d3f}"
_DARK_PAPER = "svg {background: #131415}"  # a file that is opened by itself stands on a white page in any browser
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",  # text stays text: searchable, selectable, read out
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.constrained_layout.use": True,
}
WIDTH = 5.6  # inches: the eleven points of the text stay readable on a phone that shows the whole figure
PERCENT = PercentFormatter(xmax=1, decimals=0, symbol=" %")
DASHED = (0, (5, 2))


def new_axes(height: float) -> tuple[Figure, Axes]:
    """Return a figure of this height in inches, and its only axes."""
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_subplot()


def legend_above(axes: Axes, *, columns: int = 2) -> None:
    """Add a legend above the axes, without a frame."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0, fontsize=10)


def to_svg(figure: Figure, *, name: str) -> str:
    """Return the drawing as an <svg> element; ids begin with `name`, so that a page can hold several drawings."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _adapted(buffer.getvalue(), name)


def as_file(svg: str, *, is_dark: bool = False) -> str:
    """Return the element as a file that follows the reader's preference, or is always the one for a dark page.

    WebKit does not tell an SVG in an <img> which colours the reader prefers, so a dark page requests the dark file.
    """
    theme = _DARK if is_dark else f"@media (prefers-color-scheme: dark) {{{_DARK} {_DARK_PAPER}}}"
    opening, _, rest = svg.partition(">")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}><style>{theme}</style>{rest}\n'


def _adapted(svg: str, name: str) -> str:
    """Remove prologue and metadata; make ids unique, colours settable by the page, the typeface the reader's own."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ((?:\w+ )*[\d.]+px)[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable}, {colour})")
    return svg
