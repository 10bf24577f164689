"""The one style of the figures: typeface, sizes, colours and marks."""

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import matplotlib as mpl
from django.conf import settings
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import MaxNLocator, PercentFormatter

from annotation.reports.printing.numbers import significant

SANS = "Inter"
FALLBACK = "DejaVu Sans"  # matplotlib's own, for scripts that Inter lacks
# One font file for each weight of the font.
FONT_FILES = {
    weight: Path(__file__).with_name("fonts") / f"{SANS}-{name}.ttf"
    for weight, name in ((400, "Regular"), (700, "SemiBold"))
}
for _path in FONT_FILES.values():
    font_manager.fontManager.addfont(str(_path))


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
_COLOURS = (*MODEL_COLOURS.values(), "#009e73", "#cc79a7", LIGHT["model-e"], LIGHT["model-f"], "#b8a800")
_SHAPES = (*MODEL_SHAPES.values(), "^", "D", "v", "P", "X", "*")
_MAX_LETTERS = 34  # of a model's label

SMALL = 7  # points: labels beside a number, legends
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",  # text stays text: searchable, selectable, read out
    "font.family": [SANS, FALLBACK],
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.constrained_layout.use": True,
}
_TALLER = 4 / 3  # a wide figure, so that slopes stay readable
STROKE = 1.2  # points: the width of a line that is read
COLUMN, PAGE = 85, 175  # mm: one column of a journal, which a phone shows whole, and both columns
PERCENT = PercentFormatter(xmax=1, decimals=0, symbol=" %")
DASHED = (0, (5, 2))
_DRAWING = RLock()
_ARE_LETTERS_OUTLINES = ContextVar("_ARE_LETTERS_OUTLINES", default=False)
_WIDTH = ContextVar("_WIDTH", default=COLUMN)
# An SVG drawing keeps its text, and its reader's typefaces draw what ours lack.
warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
SAYS = "says "  # what the id of a mark with a text begins with
_SQUASHING = 5  # the farthest value, in medians, from which a linear axis would squash the others


@lru_cache(maxsize=1)
def _drawable_signs() -> frozenset[int]:
    """Return the code points that the two typefaces hold."""
    files = (FONT_FILES[400], font_manager.findfont(FALLBACK))
    return frozenset(sign for file in files for sign in FT2Font(str(file)).get_charmap())


def drawable(text: str) -> str:
    """Return text without letters that the typefaces lack, which would be drawn as boxes.

    A symbol is named in brackets, another letter is a question mark. A drawing whose text stays text needs it not.

    >>> drawable("模型 🐈 Alpha")
    '?? [cat] Alpha'
    """
    return "".join(sign if ord(sign) in _drawable_signs() else _named(sign) for sign in text)


def _named(sign: str) -> str:
    kind = unicodedata.category(sign)
    if kind in ("Mn", "Me", "Cf"):  # they change the letter before them
        return ""
    return f"[{unicodedata.name(sign).lower()}]" if kind == "So" else "?"


@contextmanager
def drawing_style(*, width: int = COLUMN, are_letters_outlines: bool = False, **more: Any) -> Iterator[None]:
    """Set the style while one thread draws; the others wait.

    matplotlib's settings are those of the process: two threads of the web server that draw at once would reset each
    other's, and draw figures in another typeface and size. width: of the figures, COLUMN or PAGE. are_letters_outlines:
    as in PNG and PDF, where a letter that the typefaces lack would be a box. more: further settings, each dot as two
    underscores.
    """
    with _DRAWING, mpl.rc_context(STYLE | {name.replace("__", "."): value for name, value in more.items()}):
        before, width_before = _ARE_LETTERS_OUTLINES.set(are_letters_outlines), _WIDTH.set(width)
        try:
            yield
        finally:
            _ARE_LETTERS_OUTLINES.reset(before)
            _WIDTH.reset(width_before)


def says(text: str) -> str:
    """Return the id of a mark that shows this text in an SVG drawing, to a pointer and to the keyboard."""
    return f"{SAYS}{text}"


def model_marks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a shape and a colour for each of several models, by name; up to 56 models have marks of their own."""
    return {name: (_SHAPES[place % len(_SHAPES)], _COLOURS[place % len(_COLOURS)]) for place, name in enumerate(names)}


def is_wide() -> bool:
    """Return whether the figure that is drawn takes both columns of a page."""
    return _WIDTH.get() == PAGE


def new_figure(height: float) -> Figure:
    """Return an empty figure of the width that is drawn. height: in inches, of a figure of one column."""
    return Figure(figsize=(_WIDTH.get() / 25.4, height))


def shortened(label: str, most: int = _MAX_LETTERS) -> str:
    """Return a label that fits into a figure, and that it can draw."""
    label = drawable(label) if _ARE_LETTERS_OUTLINES.get() else label
    return label if len(label) <= most else f"{label[: most - 1]}…"


def new_axes(height: float) -> tuple[Figure, Axes]:
    """Return a figure of this height in inches, a third more if it is wide, and its only axes."""
    figure = new_figure(height * _TALLER if is_wide() else height)
    return figure, figure.add_subplot()


def percents(axis: Axis, span: float) -> None:
    """Make an axis one of percentages whose ticks are what they say. span: of what it shows, as a share."""
    axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10]))  # not 2.5, which would be rounded
    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0 if span > 0.05 else 1, symbol=" %"))


def legend_above(axes: Axes, *, columns: int = 2) -> None:
    """Add a legend above the axes, without a frame, if anything has a label."""
    if not axes.get_legend_handles_labels()[1]:
        return
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0, fontsize=SMALL)


def unsquashed(axes: Axes, sizes: Iterable[float]) -> None:
    """Make the x axis linear near zero and logarithmic far from it, if outliers would squash the rest.

    sizes: (n,) distances from zero of what is drawn; the median and the greatest get a tick on either side.
    """
    positive = sorted(size for size in sizes if size > 0)
    if not positive or positive[-1] <= _SQUASHING * positive[len(positive) // 2]:
        return
    ends = [float(f"{size:.1g}") for size in (positive[len(positive) // 2], positive[-1])]
    axes.set_xscale("asinh", linear_width=positive[len(positive) // 2])
    ticks = [-ends[1], -ends[0], 0.0, *ends]
    axes.set_xticks(ticks, [significant(tick) for tick in ticks])
    axes.minorticks_off()
