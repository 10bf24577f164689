"""The figures as SVG: the same bytes each time, text as text, for light and dark pages."""

import base64
import io
import re
from functools import lru_cache
from html import unescape
from itertools import count

from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure

from annotation.reports.figures.style import DARK, FONT_FILES, LIGHT, SANS, SAYS, drawing_style

SET_BY_THE_PAGE = ("ink", "quiet", "line", "model-a", "model-b", "model-e", "model-f")
_DARK = f"svg {{{'; '.join(f'--{name}: {DARK[name]}' for name in SET_BY_THE_PAGE)}}}"
# A file that is opened by itself stands on a white page in any browser.
_DARK_PAPER = f"svg {{background: {DARK['paper']}}}"
_SAYING = re.compile(rf'<g id="[\w-]+-{SAYS}([^"]*)">')
_TEXT = re.compile(r"<text\b[^>]*>(.*?)</text>", re.DOTALL)


def to_svg(figure: Figure, *, name: str) -> str:
    """Return the drawing as an <svg> element; ids begin with `name`, so that a page can hold several drawings."""
    buffer = io.StringIO()
    with drawing_style(svg__hashsalt=name):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _adapted(buffer.getvalue(), name)


def as_file(svg: str, *, is_dark: bool = False) -> str:
    """Return the element as a file that holds its typeface and loads nothing.

    It follows the reader's preference, or is always the one for a dark page: WebKit does not pass the reader's
    preferred colours to an SVG in an <img>, so a dark page requests the dark file.
    """
    theme = _DARK if is_dark else f"@media (prefers-color-scheme: dark) {{{_DARK} {_DARK_PAPER}}}"
    opening, _, rest = svg.partition(">")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}><style>{_font_faces(svg)}{theme}</style>{rest}\n'


def _adapted(svg: str, name: str) -> str:
    """Remove prologue and metadata; make ids unique, and colours settable by the page."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    numbers = count(1)
    svg = _SAYING.sub(lambda found: speaking(f"{name}-mark-{next(numbers)}", found[1]), svg)
    svg = re.sub(r"font-family: [^;\"]*", f"font-family: {SANS}, system-ui, sans-serif", svg)
    for name in SET_BY_THE_PAGE:
        svg = svg.replace(LIGHT[name], f"var(--{name}, {LIGHT[name]})")
    return svg


def speaking(mark_id: str, text: str) -> str:
    """Return the opening of a mark with a text, escaped, that a pointer shows and the keyboard reaches."""
    return f'<g id="{mark_id}" tabindex="0" role="img" aria-label="{text}"><title>{text}</title>'


def _font_faces(svg: str) -> str:
    """Return the typeface as rules of a style sheet: the letters of the drawing, in the weights that it has."""
    letters = "".join(sorted(set(unescape("".join(_TEXT.findall(svg))))))
    weights = [weight for weight in FONT_FILES if weight == min(FONT_FILES) or f"font-weight: {weight}" in svg]
    return "".join(
        f"@font-face {{font-family: {SANS}; font-weight: {weight}; "
        f"src: url(data:font/woff;base64,{_letters_of(weight, letters)}) format('woff')}}"
        for weight in weights
    )


@lru_cache(maxsize=64)
def _letters_of(weight: int, letters: str) -> str:
    """Return the glyphs of these letters as a WOFF file in Base64.

    Its tables of layout are left out: the drawing was set without them, and reading them is most of the work.
    """
    font, buffer = TTFont(FONT_FILES[weight], recalcTimestamp=False), io.BytesIO()
    cut = subset.Subsetter(subset.Options(hinting=False))
    cut.options.drop_tables += ["GSUB", "GPOS", "GDEF"]
    cut.populate(text=letters)
    cut.subset(font)
    font.flavor = "woff"
    font.save(buffer)
    return base64.b64encode(buffer.getvalue()).decode()
