"""The tables of generation: diffusion models, image sets and images, the jobs that make them, and who does."""

from generation.models.image_sets import (
    MOST_PROMPT_BYTES,
    DiffusionModel,
    GeneratedImage,
    ImageSet,
    Prompt,
    without_model,
)
from generation.models.jobs import ENDPOINT_TASK, GenerationJob, ModelTrial
from generation.models.machines import Card, CardFailure, EndpointAccount, FileFetch, RefusedSeed, WorkerSign

__all__ = [
    "ENDPOINT_TASK",
    "MOST_PROMPT_BYTES",
    "Card",
    "CardFailure",
    "DiffusionModel",
    "EndpointAccount",
    "FileFetch",
    "GeneratedImage",
    "GenerationJob",
    "ImageSet",
    "ModelTrial",
    "Prompt",
    "RefusedSeed",
    "WorkerSign",
    "without_model",
]
