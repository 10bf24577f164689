"""Contact sheets of the comparisons that tell most, small enough to stand inside the report's one file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from annotation.models import Comparison, Study
from annotation.reports.agreement_report import AgreementReport, ComparisonRow
from annotation.reports.explorer import most_telling
from generation import renditions
from generation.models import GeneratedImage, ImageSet
from generation.refusals import Refused

MOST_IMAGES = 40  # of a set
MOST_BYTES = 110_000  # of a sheet: sixty of them, written as text, stay below 9 MB
_CELL, _GAP = 96, 2  # pixels
_GREY = (118, 118, 118)  # the neutral surround of the page that annotators see
_QUALITIES = (75, 55, 35, 15)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The images of one set as one picture: an address that holds it, its size in pixels, and what is in it."""

    model: str
    address: str
    width: int
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class TellingComparison:
    """A comparison worth showing, why it was chosen, and the sheets of its two sets."""

    row: ComparisonRow
    why: str
    sheets: tuple[Sheet, ...]


def contact_sheets(study: Study, report: AgreementReport) -> tuple[TellingComparison, ...]:
    """The most telling comparisons with the images of both sets; none while sealed and where no images are here."""
    if report.results is None:
        return ()
    telling = most_telling(report.results.comparisons)
    places = {row.position - 1: (row, why) for row, why in telling}
    comparisons = study.comparisons.filter(position__in=places).select_related("image_set_a", "image_set_b")
    found = {row.position: _telling(row, *places[row.position]) for row in comparisons}
    shown = [found[row.position - 1] for row, _ in telling]
    return tuple(one for one in shown if one.sheets)


def _telling(comparison: Comparison, row: ComparisonRow, why: str) -> TellingComparison:
    sets = (("A", comparison.image_set_a), ("B", comparison.image_set_b))
    sheets = (_sheet(model, image_set) for model, image_set in sets)
    return TellingComparison(row, why, tuple(sheet for sheet in sheets if sheet))


def _sheet(model: str, image_set: ImageSet) -> Sheet | None:
    images = list(image_set.images.order_by("seed"))
    pictures = [picture for image in images[:MOST_IMAGES] if (picture := _picture(image))]
    if not pictures:
        return None
    sheet = _laid_out(pictures)
    address = f"data:image/webp;base64,{base64.b64encode(_encoded(sheet)).decode()}"
    shown = f"{len(pictures)} images" if len(pictures) == len(images) else f"{len(pictures)} of {len(images)} images"
    return Sheet(model, address, sheet.width, sheet.height, f"{shown} of {model}, by seed")


def _picture(image: GeneratedImage) -> Image.Image | None:
    """A small square of the image; None where its file is gone, which the sheet's words then count."""
    try:
        with Image.open(io.BytesIO(renditions.read(image, "grid"))) as rendition:
            return rendition.convert("RGB").resize((_CELL, _CELL), Image.Resampling.LANCZOS)
    except (Refused, OSError):
        return None


def _laid_out(pictures: Sequence[Image.Image]) -> Image.Image:
    columns = min(len(pictures), 5 if len(pictures) <= 20 else 8)
    rows, pitch = -(-len(pictures) // columns), _CELL + _GAP
    sheet = Image.new("RGB", (columns * pitch - _GAP, rows * pitch - _GAP), _GREY)
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * pitch, place // columns * pitch))
    return sheet


def _encoded(sheet: Image.Image) -> bytes:
    """As WebP within the budget: lower quality first, then half the size, as often as it takes."""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        sheet.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    return _encoded(sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS))
