"""Make a recorded image again, and say how it differs and which recorded circumstance changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from django.db.models import Q
from PIL import Image

from generation.models import GeneratedImage, ImageSet
from generation.pictures.files import open_image
from generation.pictures.pixels import as_srgb
from generation.plans.image_sets import CHUNK_SIZE
from generation.plans.orders import Order
from jobs.refusals import Refused

NO_CIRCUMSTANCES = ("sampled_at", "seed")  # they differ with each image


@dataclass(frozen=True)
class Change:
    """A recorded circumstance with another value now. `before` is None if it was not recorded then."""

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.name}: {self.before} then, {self.now} now"


@dataclass(frozen=True)
class Regenerated:
    """An image made again. largest, mean: differences of the values 0 to 255, over all pixels and channels."""

    image: Image.Image
    largest: int
    mean: float
    changes: tuple[Change, ...]
    unrecorded: tuple[str, ...]

    @property
    def is_identical(self) -> bool:
        """Whether every pixel is the same."""
        return self.largest == 0


def find_image(name: str) -> GeneratedImage:
    """Return the image of that id, path below the media folder, or SHA-256 (its first 8 digits are enough).

    Raises Refused if there is none, several, or one that was not generated here.
    """
    wanted = Q(path=name)
    if name.isdecimal() and len(name) < 19:
        wanted |= Q(pk=int(name))
    if len(name) >= 8:
        wanted |= Q(sha256__startswith=name.lower())
    found = list(GeneratedImage.objects.filter(wanted).select_related("image_set__diffusion_model")[:2])
    if len(found) != 1:
        several = "several images are" if found else "no image is"
        raise Refused(f"{several} called {name}: give an id, a path below the media folder, or a SHA-256.".capitalize())
    if found[0].image_set.origin != ImageSet.Origin.GENERATED:
        raise Refused(f"{found[0]} was imported, so it cannot be made again here.")
    if endpoint := found[0].image_set.diffusion_model.endpoint:
        raise Refused(f"{found[0]} was made by the endpoint {endpoint}, so it cannot be made again here.")
    return found[0]


def regenerate(image: GeneratedImage) -> Regenerated:
    """Make the image again in a batch like its own, and compare. It loads the model and torch.

    Raises Refused if the model cannot be loaded or the stored file is not readable.
    """
    from generation.sampling.sampling import sample_batches

    stored = open_image(image)
    image_set = image.image_set
    order = Order.of(image_set)
    sizes = dict(image_set.images.values_list("seed", "provenance__batch_size"))
    batch = image.provenance.get("batch") or batch_of(image_set.seeds, image.seed, sizes)
    padded_to = image.provenance.get("padded_batch_size", 0)
    for sampled in chain.from_iterable(sample_batches(order, [batch], check=lambda: None, padded_to=padded_to)):
        if sampled.seed == image.seed:
            largest, mean = difference(stored, sampled.image)
            changes = list(compare(image.provenance, sampled.provenance))
            return Regenerated(
                sampled.image,
                largest,
                mean,
                changes=tuple(change for change in changes if change.before is not None),
                unrecorded=tuple(change.name for change in changes if change.before is None),
            )
    raise AssertionError("the batch holds the seed")


def batch_of(seeds: list[int], seed: int, sizes: Mapping[int, int | None]) -> list[int]:
    """Return the batch in which version 0.2.0 sampled the seed if nothing interrupted it; later ones are recorded.

    sizes: the recorded ones, by seed.

    >>> sizes = {1: 3, 2: 3, 3: 3, 4: 2, 5: 2}
    >>> batch_of([1, 2, 3, 4, 5], 2, sizes), batch_of([1, 2, 3, 4, 5], 4, sizes)
    ([1, 2, 3], [4, 5])
    """
    place = seeds.index(seed)
    first = place - place % CHUNK_SIZE
    chunk, place, own = seeds[first : first + CHUNK_SIZE], place - first, sizes.get(seed) or 1
    # The last batch of a chunk may be smaller than the others, so the largest one says where each begins.
    for size in (max(sizes.get(one) or 1 for one in chunk), own):
        batch = chunk[place - place % size :][:size]
        if len(batch) == own:
            return batch
    start = min(place, len(chunk) - own)
    return chunk[start : start + own]


def difference(first: Image.Image, second: Image.Image) -> tuple[int, float]:
    """Return the largest and the mean difference of two images of one size, of 255."""
    one, other = (np.asarray(as_srgb(image), dtype=np.int16) for image in (first, second))
    if one.shape != other.shape:
        sizes = f"{first.width} x {first.height} px, the new one {second.width} x {second.height}"
        raise Refused(f"The stored image has {sizes}.")
    gaps = np.abs(one - other)
    return int(gaps.max()), float(gaps.mean())


def compare(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[Change]:
    """Yield what is recorded otherwise now; a nested value is named by its path."""
    for name in sorted(now.keys() - set(NO_CIRCUMSTANCES)):
        then, value, path = before.get(name), now[name], f"{prefix}{name}"
        if isinstance(value, Mapping) and isinstance(then, Mapping):
            yield from compare(then, value, f"{path}.")
        elif then != value:
            yield Change(path, then, value)
