"""The classes of pipelines that may be loaded, and what is known of each of them.

Any class of diffusers' own table of text-to-image pipelines is allowed if it makes images from text alone. What a class
takes is read from the signature of its call; a `Family` adds what no signature shows.
"""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import diffusers

from generation.models import DiffusionModel
from jobs.refusals import Refused

WANTED = ("prompt", "width", "height", "num_inference_steps", "num_images_per_prompt", "generator", "output_type")


@dataclass(frozen=True)
class Family:
    """Facts about a class beyond the signature of its call."""

    arguments: Mapping[str, Any] = field(default_factory=dict)  # of every call, unless the model's options differ
    # Sizes of the transformer's latents for which the class samples at the nearest trained size, and resizes.
    binned_sample_sizes: tuple[int, ...] = ()
    keeps_scheduler: bool = False  # no other scheduler can be set


_PIXART = Family({"clean_caption": False}, binned_sample_sizes=(32, 64, 128))
_SANA = Family({"clean_caption": False}, binned_sample_sizes=(16, 32, 64, 128))
FAMILIES: dict[str, Family] = {
    "PixArtAlphaPipeline": _PIXART,
    "PixArtSigmaPipeline": _PIXART,
    "PixArtSigmaPAGPipeline": _PIXART,
    "SanaPipeline": _SANA,
    "SanaPAGPipeline": _SANA,
    "LuminaPipeline": Family({"clean_caption": False}),
    "LatentConsistencyModelPipeline": Family(keeps_scheduler=True),
}
# Found without diffusers' table, whose import reads the code of every pipeline.
COMMON = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "PixArtAlphaPipeline", "PixArtSigmaPipeline")


def allowed_class(name: str, model: DiffusionModel) -> Any:
    """Return the text-to-image pipeline for a checkpoint's class. An image-to-image class has the same components.

    Raises Refused for a class that diffusers does not know for this task, needs a control image, or makes no images
    from text alone.
    """
    plain = name.replace("Img2Img", "").replace("Inpaint", "")
    if plain in COMMON:
        return getattr(diffusers, plain)
    table = text_to_image_classes()
    kind = table.get(name) or table.get(plain)
    if kind is None:
        raise Refused(
            f"{model.name}: {model.checkpoint} is a {name}, which is none of the text-to-image pipelines of diffusers "
            f"{diffusers.__version__}: {', '.join(sorted(table))}."
        )
    if fault := unfit(kind):
        raise Refused(f"{model.name}: {model.checkpoint} is a {name}, which {fault}.")
    return kind


@cache
def text_to_image_classes() -> dict[str, Any]:
    """Return the classes of diffusers' own table of text-to-image pipelines, by name."""
    with warnings.catch_warnings(action="ignore"):  # about outdated parts of pipelines, none of which is used
        from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    return {kind.__name__: kind for kind in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()}


def unfit(kind: Any) -> str:
    """Return why a class of the table cannot make the images of a study; empty if it can."""
    if "Combined" in kind.__name__:
        return "is put together from other pipelines, and only single ones are loaded"
    if "Control" in kind.__name__:
        return "needs a control image, and a study has only prompts"
    takes = call_signature(kind).keys()
    if missing := [name for name in WANTED if name not in takes]:
        return f"takes no {missing[0]}, so it cannot make a set of images of one size and prompt"
    return ""


def family_of(kind: Any) -> Family:
    """Return what is known of a class."""
    return FAMILIES.get(kind.__name__, Family())


@cache
def call_signature(kind: Any) -> dict[str, Any]:
    """Return the arguments of a call of the class, each with its default (or inspect.Parameter.empty)."""
    return _defaults(kind.__call__)


@cache
def encoding_signature(kind: Any) -> dict[str, Any]:
    """Return the arguments of `encode_prompt` of the class, each with its default; empty if it has none."""
    return _defaults(kind.encode_prompt) if hasattr(kind, "encode_prompt") else {}


@cache
def loading_arguments(kind: Any) -> dict[str, Any]:
    """Return the arguments with which the class is loaded: no watermark changes its images."""
    return {"add_watermarker": False} if "add_watermarker" in _defaults(kind.__init__) else {}


def _defaults(function: Any) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    named = (each for each in parameters.values() if each.kind != each.VAR_KEYWORD and each.name != "self")
    return {parameter.name: parameter.default for parameter in named}
