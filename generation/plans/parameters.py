"""The sampling parameters of an image set, apart from prompt, model and seed."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from annotated_types import Interval, MultipleOf

Scheduler = Literal["euler", "euler-ancestral", "ddim", "dpm-solver", "unipc", "lcm", "tcd", "checkpoint"]
SCHEDULERS = get_args(Scheduler)
# Settings of a model that make its images sooner, and move some pixels by about 1 of 255.
SPEED_FIELDS = ("compile", "channels_last", "fused_qkv")

# Latents are an eighth of the image's size in the families sampled here.
Pixels = Annotated[int, MultipleOf(8), Interval(ge=8, le=4096)]


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """Sampling parameters under diffusers' names. The defaults are those of the paper's code (Bent 2024).

    Sizes are in pixels. `scheduler` is one of SCHEDULERS; "checkpoint" keeps the checkpoint's own.
    The limits are checked when a study file is read, not by this class.

    >>> SamplingParameters(width=64, height=64).num_inference_steps
    20
    """

    width: Pixels = 768
    height: Pixels = 768
    num_inference_steps: Annotated[int, Interval(ge=1, le=1000)] = 20
    guidance_scale: Annotated[float, Interval(ge=0, le=100)] = 7.5
    negative_prompt: str = ""
    scheduler: Scheduler = "euler"

    def as_document(self) -> dict[str, Any]:
        """Return the parameters for JSON."""
        return asdict(self)
