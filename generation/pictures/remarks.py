"""Find images that say little about their model: of one colour, or repeated. They are noted, never refused."""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Count, F, Min, QuerySet

from generation.models import GeneratedImage, ImageSet
from generation.pictures.files import open_image
from generation.pictures.pixels import is_plain
from jobs.refusals import Refused

Remark = GeneratedImage.Remark
SEEDS_NAMED = 5


def note(image_sets: QuerySet[ImageSet]) -> None:
    """Find such images in the sets and store the remarks; repeating it changes nothing.

    Equal pixels give equal files, so equal hashes are repeats. An image of one colour compresses to less than a
    hundredth, so few files are opened.
    """
    unnoted = GeneratedImage.objects.filter(image_set__in=image_sets, remark=None)
    candidates = unnoted.filter(byte_count__lt=500 + F("width") * F("height") * 3 / 100)
    plain = [image.pk for image in candidates if _is_plain(image)]
    if plain:
        GeneratedImage.objects.filter(pk__in=plain).update(remark=Remark.PLAIN)
    groups = unnoted.order_by().values("image_set", "sha256").annotate(count=Count("pk"), first=Min("seed"))
    for group in groups.filter(count__gt=1):
        same = unnoted.filter(image_set=group["image_set"], sha256=group["sha256"])
        same.filter(seed__gt=group["first"]).update(remark=Remark.REPEAT)


def remarked_sets() -> QuerySet[GeneratedImage, int]:
    """Return the ids of all sets with such images, from an index that holds only these."""
    return GeneratedImage.objects.filter(remark__isnull=False).order_by().values_list("image_set", flat=True)


def sentences(image_sets: QuerySet[ImageSet]) -> list[str]:
    """Return one sentence about each set with such images, in the order of the sets."""
    noted = GeneratedImage.objects.filter(image_set__in=image_sets, remark__isnull=False)
    # Sorted here: to sort them itself, SQLite would scan the index of all images.
    rows = sorted(noted.order_by().values_list("image_set", "seed", "remark"))
    seeds: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for pk, seed, remark in rows:
        seeds[pk][str(remark)].append(seed)
    sets = ImageSet.objects.filter(pk__in=list(seeds)).select_related("diffusion_model", "prompt").order_by("pk")
    return [f"{image_set}: {describe(seeds[image_set.pk], len(image_set.seeds))}" for image_set in sets]


def describe(seeds: dict[str, list[int]], total: int) -> str:
    """Return the remarks on the seeds of a set as text."""
    parts = []
    if plain := seeds.get(Remark.PLAIN):
        parts.append(f"{_counted(plain, total)} of one colour ({_named(plain)})")
    if repeats := seeds.get(Remark.REPEAT):
        parts.append(f"{_counted(repeats, total)} the same as an earlier one of the set ({_named(repeats)})")
    return ", and ".join(parts)


def _counted(seeds: list[int], total: int) -> str:
    if total == 1:
        return "its only image is"
    return f"{len(seeds)} of {total} images {'is' if len(seeds) == 1 else 'are'}"


def _named(seeds: Iterable[int]) -> str:
    first, *_ = named = list(seeds)
    if len(named) == 1:
        return f"seed {first}"
    return f"seeds {', '.join(map(str, named[:SEEDS_NAMED]))}{', …' if len(named) > SEEDS_NAMED else ''}"


def _is_plain(image: GeneratedImage) -> bool:
    try:
        return is_plain(open_image(image))
    except Refused:  # a missing or broken file is found by verify_images; it is no remark
        return False
