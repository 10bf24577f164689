"""Faults of new studies that studies of earlier versions may have and still open with; pure."""

from collections.abc import Iterator

from annotation.studies.manifest import Manifest
from annotation.studies.validation.faults import Fault, Parts
from generation.image_sets import LARGEST_GENERATED_SEED, seed_too_large
from generation.models import MOST_PROMPT_BYTES


def new_study_faults(parts: Parts, earlier: Manifest | None = None) -> Iterator[Fault]:
    """The faults of a manifest's parts, but for what the `earlier` manifest of the same study holds already.

    As in `contradictions`, a part may be absent and an item of a list None.
    """
    known_seeds = earlier.seeds if earlier else ()
    known_prompts = {prompt.text for prompt in earlier.prompts} if earlier else set()
    for index, seed in enumerate(parts.get("seeds", ())):
        if seed is not None and seed > LARGEST_GENERATED_SEED and seed not in known_seeds:
            yield Fault(("seeds", index), seed_too_large(seed))
    for index, prompt in enumerate(parts.get("prompts", ())):
        if prompt is not None and prompt.text not in known_prompts:
            length = len(prompt.text.encode())
            if length > MOST_PROMPT_BYTES:
                yield Fault(
                    ("prompts", index),
                    f"is {length} bytes long in UTF-8, but a prompt has at most {MOST_PROMPT_BYTES}.",
                )
