"""A comparison as the explorer's pages show it: addresses of images, bars, sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from annotation.models import Study
from annotation.reports.explorer.detail import ComparisonDetail, ImageDetail, SetDetail
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.printing.numbers import metric_name, percent, score
from generation.models import GeneratedImage

THUMBNAILS = 4  # of each set, in the list
WIDTH = 100  # units of a bar's drawing


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: its kind (a, tie or b), its left end and its width, in units of the drawing."""

    kind: str
    at: float
    width: float


def image_address(slug: str, number: int, side: str, seed: int, rendition: str) -> str:
    """Return the address at which researchers see an image of a comparison."""
    return reverse("explored-image", args=[slug, number, side, seed, rendition])


def thumbnails(study: Study, numbers: list[int], *, most: int = THUMBNAILS) -> dict[int, dict[str, list[str]]]:
    """Return the addresses of the first images of both sets by the number of the comparison; only those with images."""
    rows = study.comparisons.filter(position__in=[number - 1 for number in numbers])
    places: dict[int, list[tuple[int, str]]] = {}
    for position, a, b in rows.values_list("position", "image_set_a", "image_set_b"):
        for pk, side in ((a, "a"), (b, "b")):
            places.setdefault(pk, []).append((position + 1, side))
    shown: dict[int, dict[str, list[str]]] = {}
    images = GeneratedImage.objects.filter(image_set__in=list(places)).order_by("image_set", "seed")
    for pk, seed in images.values_list("image_set", "seed"):
        for number, side in places[pk]:
            strip = shown.setdefault(number, {"a": [], "b": []})[side]
            if len(strip) < most:
                strip.append(image_address(study.slug, number, side, seed, "grid"))
    return shown


def side_names(row: ComparisonRow, *, are_several: bool) -> dict[str, str]:
    """Return what the sides of a comparison are called, and its winners: letters, or of several models their names."""
    names = {"A": row.model_a, "B": row.model_b} if are_several else {"A": "A", "B": "B"}
    winners = {"people": row.people_winner, "metric": row.metric_winner}
    return names | {which: names.get(winner or "", winner or "") for which, winner in winners.items()}


def votes_bar(row: ComparisonRow) -> tuple[Part, ...]:
    """Return the votes for A, for neither and for B as the pieces of one bar; empty without votes."""
    counts = (("a", row.votes_a), ("tie", row.votes_tie), ("b", row.votes_b))
    total = sum(count for _, count in counts)
    parts, at = [], 0.0
    for kind, count in counts:
        if count:
            width = WIDTH * count / total
            parts.append(Part(kind, round(at, 3), round(width, 3)))
            at += width
    return tuple(parts)


def opened(
    seen: ComparisonDetail, *, slug: str, metric: str, by_seed: bool, are_several: bool = False
) -> dict[str, Any]:
    """Return what the page of one comparison shows.

    by_seed: images in the order of the seeds, so that both sets match; else those that lower the score most come first.
    """
    known = [abs(image.contribution) for part in seen.sets for image in part.images if image.contribution is not None]
    largest = max(known, default=0.0)
    names = side_names(seen.row, are_several=are_several)
    return {
        "names": names,
        "are_several": are_several,
        "seen": seen,
        "row": seen.row,
        "bar": votes_bar(seen.row),
        "by_seed": by_seed,
        "has_contributions": bool(known),
        "has_images": any(part.images for part in seen.sets),
        "sentences": _sentences(seen, metric_name(metric), names),
        "sets": [_set(part, seen.row.position, slug=slug, by_seed=by_seed, largest=largest) for part in seen.sets],
    }


def _set(part: SetDetail, number: int, *, slug: str, by_seed: bool, largest: float) -> dict[str, Any]:
    images = part.images if by_seed else sorted(part.images, key=lambda image: image.contribution or 0.0)
    shown = [_image(image, part.model.lower(), number, slug=slug, largest=largest) for image in images]
    return {"set": part, "side": part.model.lower(), "images": shown, "columns": _columns(len(shown))}


def _image(image: ImageDetail, side: str, number: int, *, slug: str, largest: float) -> dict[str, Any]:
    width = 0.0 if image.contribution is None or not largest else WIDTH / 2 * abs(image.contribution) / largest
    lowers = image.contribution is not None and image.contribution < 0
    said = "" if image.contribution is None else _signed(image.contribution)
    return {
        "image": image,
        "said": said,
        "grid": image_address(slug, number, side, image.seed, "grid"),
        "grid2x": image_address(slug, number, side, image.seed, "grid2x"),
        "zoom": image_address(slug, number, side, image.seed, "zoom"),
        "bar": Part(
            "minus" if lowers else "plus", round(WIDTH / 2 - width if lowers else WIDTH / 2, 3), round(width, 3)
        ),
    }


def _columns(count: int) -> int:
    """Return the number of columns: five, or fewer if there are fewer images."""
    return max(1, min(5, count))


def _signed(value: float) -> str:
    """Return points with their sign; a zero has none."""
    said = score(value)
    if not said.strip("\u22120."):
        return score(0.0)
    return said if value < 0 else f"+{said}"


def _sentences(seen: ComparisonDetail, metric: str, names: Mapping[str, str]) -> list[str]:
    """Return what the votes and the metric say, as sentences."""
    row = seen.row
    sentences = [_by_votes(row, names), _by_metric(row, metric, names)]
    if row.agrees is not None:
        sentences.append(_verdict(row))
    if seen.noise is not None and seen.noise.flip is not None:
        margin, images = seen.noise.margin, seen.noise.margin.n
        bounds = "" if margin.low is None else f", margin from {score(margin.low)} to {score(margin.high)}"
        sentences.append(
            f"Of resamples of its {images} seeds, {percent(seen.noise.flip)} name another winner "
            f"({100 * margin.level:g} % interval{bounds}). The report says how often a fresh draw of seeds would."
        )
    return [sentence.replace(" %", "\u00a0%") for sentence in sentences]


def _verdict(row: ComparisonRow) -> str:
    if row.agrees:
        return "They agree."
    one_sided = "tie" in (row.people_winner, row.metric_winner)
    return "They disagree" + (": a tie on one side only." if one_sided else ".")


def _by_votes(row: ComparisonRow, names: Mapping[str, str]) -> str:
    if row.people_winner is None:
        return "There are no votes that count."
    ties = f", {row.votes_tie} for neither" if row.votes_tie else ""
    who = "neither" if row.people_winner == "tie" else names["people"]
    return f"The votes name {who}: {row.votes_a} for {names['A']}, {row.votes_b} for {names['B']}{ties}."


def _by_metric(row: ComparisonRow, metric: str, names: Mapping[str, str]) -> str:
    if row.metric_winner is None or row.margin is None:
        return f"{metric} has not scored both sets."
    if row.metric_winner == "tie":
        return f"{metric} names neither: the scores are equal."
    return f"{metric} names {names['metric']}, by {score(abs(row.margin))} points."
