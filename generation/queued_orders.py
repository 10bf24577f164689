"""The orders that are still to be sampled for a model."""

from collections.abc import Iterator

from generation.models import DiffusionModel, GenerationJob
from generation.orders import Order
from generation.parameters import SamplingParameters

State = GenerationJob.State


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
