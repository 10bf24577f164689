"""The look of the figures, and their SVG files.

The files are the same bytes each time, follow a light or dark page, and hold text as text.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from django.conf import settings
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter


def _colours(css: str) -> dict[str, str]:
    """Return the colours of a style sheet by the names of their tokens."""
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


# The colours of the pages, so that a drawing and the page that holds it never differ.
_TOKENS = Path(settings.BASE_DIR, "static", "tokens.css").read_text(encoding="utf-8")
LIGHT, DARK, _PRINT = map(_colours, _TOKENS.split("@media "))
INK, QUIET, LINE = LIGHT["ink"], LIGHT["quiet"], LIGHT["line"]
TIE_COLOUR = LIGHT["tie"]
# Each model's mark, also on the pages: a test compares them with static/pages.css. No other number has these shapes.
MODEL_COLOURS = {"A": LIGHT["model-a"], "B": LIGHT["model-b"]}  # Okabe and Ito
MODEL_SHAPES = {"A": "s", "B": "o"}  # square and circle, as matplotlib names them
# Further models go on in the order of Okabe and Ito (2008), without black and with a darker yellow, which shows on
# white paper; each has its own shape.
_COLOURS = (*MODEL_COLOURS.values(), "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#b8a800")
_SHAPES = (*MODEL_SHAPES.values(), "^", "D", "v", "P", "X", "*")
_MAX_LETTERS = 34  # of a model's label

_SET_BY_THE_PAGE = ("ink", "quiet", "line")
_DARK = f"svg {{{'; '.join(f'--{name}: {DARK[name]}' for name in _SET_BY_THE_PAGE)}}}"
# A file that is opened by itself stands on a white page in any browser.
_DARK_PAPER = f"svg {{background: {DARK['paper']}}}"
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


def model_marks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a shape and a colour for each of several models, by name; up to 56 models have marks of their own."""
    return {name: (_SHAPES[place % len(_SHAPES)], _COLOURS[place % len(_COLOURS)]) for place, name in enumerate(names)}


def shortened(label: str, most: int = _MAX_LETTERS) -> str:
    """Return a label that fits into a figure."""
    return label if len(label) <= most else f"{label[: most - 1]}…"


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

    WebKit does not pass the reader's preferred colours to an SVG in an <img>, so a dark page requests the dark file.
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
    for name in _SET_BY_THE_PAGE:
        svg = svg.replace(LIGHT[name], f"var(--{name}, {LIGHT[name]})")
    return svg
