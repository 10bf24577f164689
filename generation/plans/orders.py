"""The order of a sampling: a model, a prompt, and the sampling parameters."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from generation.models import DiffusionModel, GenerationJob, ImageSet
from generation.plans.parameters import SamplingParameters

State = GenerationJob.State


@dataclass(frozen=True)
class Order:
    """A model, the prompt it is given, and the sampling parameters."""

    diffusion_model: DiffusionModel
    prompt: str
    parameters: SamplingParameters

    @classmethod
    def of(cls, image_set: ImageSet) -> Self:
        """Return the order that the plan of an image set gives."""
        return cls(image_set.diffusion_model, image_set.rendered_prompt, SamplingParameters(**image_set.parameters))


def unfinished_orders(model: DiffusionModel) -> Iterator[Order]:
    """Yield the order of each unfinished job of the model, in the order of the jobs; equal orders once."""
    jobs = GenerationJob.objects.filter(image_set__diffusion_model=model, state__in=(State.QUEUED, State.RUNNING))
    rows = jobs.order_by("pk").values_list("image_set__rendered_prompt", "image_set__parameters")
    seen: set[tuple[str, str]] = set()
    for prompt, parameters in rows.iterator():
        key = (prompt, repr(sorted(parameters.items())))
        if key not in seen:
            seen.add(key)
            yield Order(model, prompt, SamplingParameters(**parameters))
