"""The contact sheets of a study: the sets of each prompt, blind while the study is sealed, with flags."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Case, Max, Min, Q, Value, When
from django.urls import reverse

from annotation.models import Study
from annotation.studies.sealing import shuffled
from annotation.studies.warnings.image_warnings import FLAGS, Flags
from annotation.web.access.tokens import TokenCipher
from generation.models import GeneratedImage, ImageSet

ADDRESSES = TokenCipher(b"semblance contact sheets 1", ">QQ")  # account id, image id
BLIND = ("First set", "Second set", "Third set", "Fourth set", "Fifth set")


@dataclass(frozen=True, slots=True)
class Cell:
    """One place on a sheet: the addresses of its image, empty if it is missing; its flags in words; its name."""

    grid: str
    zoom: str
    flags: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The images of one set. side: the letter of its model in an unsealed study of two models, else empty."""

    label: str
    side: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PromptSheets:
    """The sheets of one prompt. number: its place in the study, from 1. image_count, planned_count: of all its sets.

    A blind page has no sheets of a prompt that lacks images: models are done one after the other, and jobs say which
    images failed, so that the fuller sheet would be known to be one model's.
    """

    number: int
    prompt: str
    sheets: tuple[Sheet, ...]
    image_count: int
    planned_count: int


@dataclass(frozen=True, slots=True)
class Viewer:
    """The account that looks, the study, whether it is blind for the account, and whether it compares two models."""

    study: Study
    account_id: int
    is_blind: bool
    has_two_models: bool


def numbered_prompts(study: Study, flags: Flags, *, only_flagged: bool) -> list[tuple[int, int]]:
    """Return (number, id) of the prompts in the order of the study, with one query; numbers count from 1."""
    has_flag = Q(image_set_a__in=[*flags.sets]) | Q(image_set_b__in=[*flags.sets])
    flagged = Max(Case(When(has_flag, then=1), default=0)) if flags.sets else Value(0)
    prompts = study.comparisons.order_by().values("prompt").annotate(first=Min("position"), flagged=flagged)
    rows = enumerate(prompts.order_by("first").values_list("prompt", "flagged"), start=1)
    return [(number, prompt) for number, (prompt, is_flagged) in rows if is_flagged or not only_flagged]


def prompt_sheets(viewer: Viewer, prompts: Iterable[tuple[int, int]], reported: Collection[int]) -> list[PromptSheets]:
    """Return the sheets of these prompts, given as (number, id), with two queries for all of them."""
    numbers = {pk: number for number, pk in prompts}
    sets_of: dict[int, dict[int, str]] = defaultdict(dict)
    set_by_id: dict[int, ImageSet] = {}
    texts = {}
    rows = viewer.study.comparisons.filter(prompt__in=numbers).order_by("position").select_related("prompt")
    for row in rows.select_related("image_set_a__diffusion_model", "image_set_b__diffusion_model"):
        texts[row.prompt_id] = row.prompt.text
        for side, image_set in (("A", row.image_set_a), ("B", row.image_set_b)):
            set_by_id[image_set.pk] = image_set
            sets_of[row.prompt_id].setdefault(image_set.pk, side)
    images: dict[int, dict[int, GeneratedImage]] = defaultdict(dict)
    for image in GeneratedImage.objects.filter(image_set__in=set_by_id).defer("provenance"):
        images[image.image_set_id][image.seed] = image
    found = []
    for pk, number in numbers.items():
        planned = sum(len(set_by_id[one].seeds) for one in sets_of[pk])
        count = sum(seed in images[one] for one in sets_of[pk] for seed in set_by_id[one].seeds)
        is_shown = count >= planned or not viewer.is_blind
        sheets = tuple(_sheets(viewer, pk, sets_of[pk], set_by_id, images, reported)) if is_shown else ()
        found.append(PromptSheets(number, texts[pk], sheets, count, planned))
    return found


def _sheets(
    viewer: Viewer,
    prompt: int,
    sides: dict[int, str],
    set_by_id: dict[int, ImageSet],
    images: dict[int, dict[int, GeneratedImage]],
    reported: Collection[int],
) -> Iterable[Sheet]:
    order = list(sides)
    if viewer.is_blind:
        order = shuffled(viewer.study, prompt, f"sheets of {viewer.account_id}", order)
    for place, pk in enumerate(order):
        image_set = set_by_id[pk]
        seeds = list(image_set.seeds)
        if viewer.is_blind:
            seeds = shuffled(viewer.study, pk, f"images of {viewer.account_id}", seeds)
        cells = tuple(_cell(viewer, images[pk].get(seed), seed, reported) for seed in seeds)
        if viewer.is_blind:
            yield Sheet(BLIND[place] if place < len(BLIND) else f"Set {place + 1}", "", cells)
        else:
            yield Sheet(str(image_set.diffusion_model), sides[pk] if viewer.has_two_models else "", cells)


def _cell(viewer: Viewer, image: GeneratedImage | None, seed: int, reported: Collection[int]) -> Cell:
    if image is None:
        return Cell("", "", (FLAGS["missing"],), "" if viewer.is_blind else f"seed {seed}")
    flags = [FLAGS[image.remark]] if image.remark else []
    flags += [FLAGS["reported"]] if image.pk in reported else []
    grid, zoom = (image_address(viewer, image.pk, rendition) for rendition in ("grid", "zoom"))
    return Cell(grid, zoom, tuple(flags), "" if viewer.is_blind else f"seed {seed}")


def image_address(viewer: Viewer, image_id: int, rendition: str) -> str:
    """Return the address at which only this account sees the image."""
    token = ADDRESSES.encrypt(viewer.account_id, image_id)
    return reverse("sheet-image", args=[viewer.study.slug, token, rendition])
