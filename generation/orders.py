"""What is sampled: a model, a prompt, and the sampling parameters."""

from dataclasses import dataclass

from generation.models import DiffusionModel
from generation.parameters import SamplingParameters


@dataclass(frozen=True)
class Order:
    """A model, the prompt it is given, and the sampling parameters."""

    diffusion_model: DiffusionModel
    prompt: str
    parameters: SamplingParameters
