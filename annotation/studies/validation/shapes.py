"""The size of imported images: one for a whole study, since a size or shape that differs tells the models apart.

A study may also mix its images (practice, attention checks), so one size for each comparison would not do.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from annotation.models import Study
from generation.models import GeneratedImage, ImageSet
from generation.pictures.thumbnails import zoom_size

Size = tuple[int, int]


def sizes_of(image_sets: Iterable[ImageSet]) -> dict[int, list[Size]]:
    """The sizes in pixels that occur in each set, by its primary key, sorted."""
    images = GeneratedImage.objects.filter(image_set__in=[one.pk for one in image_sets]).order_by()
    found: dict[int, list[Size]] = defaultdict(list)
    for pk, width, height in sorted(images.values_list("image_set", "width", "height").distinct()):
        found[pk].append((width, height))
    return found


def size_in(study: Study) -> Size | None:
    """The size of an image that the study shows already; None before the first."""
    first = study.comparisons.order_by("position").first()
    image = GeneratedImage.objects.filter(image_set=first.image_set_a_id).first() if first else None
    return (image.width, image.height) if image else None


def other_size(wanted: Size, sets: Mapping[str, Iterable[Size]]) -> str:
    """A sentence if an image of these sets (by model) is shown in another size than `wanted`; else empty."""
    for model, sizes in sets.items():
        for size in sizes:
            if zoom_size(*size) != zoom_size(*wanted):
                side = min(*size, *wanted)
                return (
                    f"has images of {size[0]} x {size[1]} pixels of {model}, but others of the study have "
                    f"{wanted[0]} x {wanted[1]}, which would tell the models apart: take the images back "
                    f"(take_back_images) and import both models with one --size, for example {side}x{side}"
                )
    return ""
