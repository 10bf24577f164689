"""The classes of pipelines that may be loaded, what differs between them, and the schedulers."""

from dataclasses import dataclass, field
from typing import Any

import diffusers

from generation.models import DiffusionModel
from jobs.refusals import Refused

SCHEDULERS = {
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "ddim": diffusers.DDIMScheduler,
    "dpm-solver": diffusers.DPMSolverMultistepScheduler,
}
BINNED_SAMPLE_SIZES = (32, 64, 128)  # of the PixArt transformers that were trained on bins of aspect ratios


@dataclass(frozen=True)
class Family:
    """The differences between the allowed pipelines: the names of their embeddings and a few arguments."""

    embeddings: tuple[str, ...]
    most_tokens: int | None = None  # the pipeline's own limit; None: the tokenizer's limit
    loading: dict[str, Any] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)


_PIXART = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
FAMILIES: dict[type, Family] = {
    diffusers.StableDiffusionPipeline: Family(("prompt_embeds", "negative_prompt_embeds")),
    diffusers.StableDiffusionXLPipeline: Family(
        ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"),
        loading={"add_watermarker": False},
    ),
    diffusers.PixArtAlphaPipeline: Family(
        _PIXART, most_tokens=120, encoding={"clean_caption": False, "max_sequence_length": 120}
    ),
    diffusers.PixArtSigmaPipeline: Family(
        _PIXART, most_tokens=300, encoding={"clean_caption": False, "max_sequence_length": 300}
    ),
}


def allowed_class(name: str, model: DiffusionModel) -> type:
    """Return the text-to-image pipeline for a checkpoint's class, as AutoPipelineForText2Image finds it.

    An image-to-image or inpainting class has the same components and a similar name. For the classes allowed here
    diffusers' own table says no more, and importing it would import every pipeline.
    """
    allowed = {kind.__name__: kind for kind in FAMILIES}
    kind = allowed.get(name.replace("Img2Img", "").replace("Inpaint", ""))
    if kind is None:
        raise Refused(f"{model.name}: {model.checkpoint} is a {name}; allowed are {', '.join(sorted(allowed))}.")
    return kind
