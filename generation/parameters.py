"""What an image set is sampled with, apart from prompt, model and seed."""

from dataclasses import asdict, dataclass
from typing import Any

SCHEDULERS = ("euler", "euler-ancestral", "ddim", "dpm-solver", "checkpoint")


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """Sampling parameters under diffusers' names. The defaults are those of the paper's code (Bent 2024).

    Sizes are in pixels. `scheduler` is one of SCHEDULERS; "checkpoint" keeps what the checkpoint ships.

    >>> SamplingParameters(width=64, height=64).num_inference_steps
    20
    """

    width: int = 768
    height: int = 768
    num_inference_steps: int = 20
    guidance_scale: float = 7.5
    negative_prompt: str = ""
    scheduler: str = "euler"

    def as_document(self) -> dict[str, Any]:
        """The parameters as JSON keeps them."""
        return asdict(self)
