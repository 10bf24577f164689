"""Contact sheets of the most telling comparisons, small enough for the report's one HTML file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from annotation.models import Comparison, Study
from annotation.reports.explorer.orders import MOST_TELLING, most_telling
from annotation.reports.figures.style import LIGHT
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.drawn_numbers import MOST_SHOWN, disagreements
from annotation.reports.progress import Progress, silent
from generation.models import GeneratedImage, ImageSet
from generation.pictures import renditions
from jobs.refusals import Refused
from jobs.wording import counted

MOST_IMAGES = 64  # of a set
MOST_BYTES = 110_000  # of a sheet: sixty sheets, written as base64, take 9 MB of the file's 15 MB
LEAST_BYTES = 4_000  # a smaller sheet shows nothing, so fewer comparisons are shown instead
_WORDS_BYTES = 8_000  # of the text around the two sheets of a comparison, at most
_CELL, _GAP = 96, 2  # pixels
_QUALITIES = (75, 55, 35, 15)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The images of one set as one picture: a data address, its size in pixels, and a description.

    side: A or B. model: the same letter, or of several models the model's name.
    """

    side: str
    model: str
    address: str
    width: int
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class TellingComparison:
    """A comparison that was chosen, the reason, and the sheets of its two sets."""

    row: ComparisonRow
    why: str
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True, slots=True)
class ContactSheets:
    """The comparisons shown, the most telling first. left_out: how many the file has no room for."""

    comparisons: tuple[TellingComparison, ...] = ()
    left_out: int = 0


def contact_sheets(study: Study, report: AgreementReport, *, room: int, progress: Progress = silent) -> ContactSheets:
    """Return the most telling comparisons with the images of both sets; none if sealed or without images here.

    room: bytes that they may add to the file. If there is little, sheets get smaller, then fewer are made.
    """
    if report.results is None:
        return ContactSheets()
    wanted = _wanted(report.results)
    telling = wanted[: max(0, room) // (_WORDS_BYTES + 2 * _text_bytes(LEAST_BYTES))]
    if not telling:
        return ContactSheets(left_out=len(wanted))
    most = min(MOST_BYTES, _bytes_in_text((room // len(telling) - _WORDS_BYTES) // 2))
    places = {row.position - 1: (row, why) for row, why in telling}
    comparisons = study.comparisons.filter(position__in=places).select_related("image_set_a", "image_set_b")
    by_position = {}
    for done, row in enumerate(comparisons):
        progress(done / len(telling), "contact sheets")
        by_position[row.position] = _telling(row, *places[row.position], report=report, most=most)
    shown = [by_position[row.position - 1] for row, _ in telling]
    return ContactSheets(tuple(one for one in shown if one.sheets), len(wanted) - len(telling))


def _wanted(results: Results) -> list[tuple[ComparisonRow, str]]:
    """Return the disagreements that the report shows, then the most telling comparisons, each with the reason."""
    found = disagreements(results.comparisons, results.image_noise)[:MOST_SHOWN]
    first = {one.row.position: (one.row, "the surest disagreements") for one in found}
    others = {row.position: (row, why) for row, why in most_telling(results.comparisons)}
    return list((first | {place: one for place, one in others.items() if place not in first}).values())[:MOST_TELLING]


def _text_bytes(count: int) -> int:
    """Return the length in base64 of `count` bytes."""
    return -(-count // 3) * 4


def _bytes_in_text(length: int) -> int:
    """Return the number of bytes that fit into base64 text of this length."""
    return length // 4 * 3


def _telling(
    comparison: Comparison, row: ComparisonRow, why: str, *, report: AgreementReport, most: int
) -> TellingComparison:
    image_sets = [comparison.image_set_a, comparison.image_set_b]
    models = ["A", "B"]
    if report.study.are_several:
        models = [row.model_a, row.model_b]
        if report.manifest.models[comparison.model_a].name == row.model_b:  # the report's sides follow its ranking
            image_sets.reverse()
    sides = zip("AB", models, image_sets, strict=True)
    sheets = (_sheet(side, model, image_set, most=most) for side, model, image_set in sides)
    return TellingComparison(row, why, tuple(sheet for sheet in sheets if sheet))


def _sheet(side: str, model: str, image_set: ImageSet, *, most: int) -> Sheet | None:
    pictures, count = _pictures(image_set)
    if not pictures:
        return None
    sheet = _laid_out(pictures)
    address = f"data:image/webp;base64,{base64.b64encode(_encoded(sheet, most=most)).decode()}"
    shown = (
        counted(len(pictures), "image") if len(pictures) == count else f"{len(pictures)} of {counted(count, 'image')}"
    )
    return Sheet(side, model, address, sheet.width, sheet.height, f"{shown} of {model}, by seed")


def _pictures(image_set: ImageSet) -> tuple[list[Image.Image], int]:
    """Return the images of a set that a sheet shows, and the number of images in the set."""
    images = list(image_set.images.order_by("seed"))
    return [picture for image in images[:MOST_IMAGES] if (picture := _picture(image))], len(images)


def _picture(image: GeneratedImage) -> Image.Image | None:
    """Return a small square of the image; None if its file is gone, which the sheet's description then counts."""
    try:
        with Image.open(io.BytesIO(renditions.read(image, "grid"))) as rendition:
            return rendition.convert("RGB").resize((_CELL, _CELL), Image.Resampling.LANCZOS)
    except (Refused, OSError):
        return None


def _laid_out(pictures: Sequence[Image.Image]) -> Image.Image:
    rows, pitch = -(-len(pictures) // (5 if len(pictures) <= 20 else 8)), _CELL + _GAP
    columns = -(-len(pictures) // rows)  # as few empty places as possible
    sheet = Image.new("RGB", (columns * pitch - _GAP, rows * pitch - _GAP), LIGHT["surround"])  # as annotators see it
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * pitch, place // columns * pitch))
    return sheet


def _encoded(sheet: Image.Image, *, most: int) -> bytes:
    """Return the sheet as WebP of at most `most` bytes: reduce the quality first, then halve the size until it fits."""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        sheet.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= most:
            return buffer.getvalue()
    half = (max(1, sheet.width // 2), max(1, sheet.height // 2))
    return _encoded(sheet.resize(half, Image.Resampling.LANCZOS), most=most)
