"""A pipeline in memory, with the facts that are recorded with each of its images."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from generation.pipelines.families import Family, family_of
from generation.pipelines.learned_tokens import LearnedTokens

TEXT_ENCODER = re.compile(r"text_encoder(_\d)?")
TOKENIZER = re.compile(r"(tokenizer|processor)(_\d)?")


@dataclass
class Loaded:
    """A pipeline in memory, its attached LoRA, its encoded prompts, and the facts recorded with each image."""

    key: tuple[str, ...]  # what `loading` loads anew for
    pipeline: Any
    facts: dict[str, Any]
    own_scheduler: Any
    vae_dtype: torch.dtype
    lora: tuple[Any, ...] | None = None
    lora_facts: dict[str, Any] = field(default_factory=dict)
    learned: LearnedTokens | None = None
    encoded: dict[str, Any] = field(default_factory=dict)  # outputs of the text encoders, by `encoding`
    keeps_encoders: bool = True  # beside the denoiser; else they are dropped once all prompts are encoded
    has_encoders: bool = True
    is_placed: bool = False  # on the device
    is_offloaded: bool = False  # parts wait in the machine's memory while others compute
    speed: dict[str, str] = field(default_factory=dict)  # what each speed setting changed, or "no: " and why not
    sampled_size: tuple[int, int] | None = None  # width and height that the decoder made last

    cached: ClassVar["Loaded | None"] = None

    @property
    def kind(self) -> Any:
        """The pipeline's class."""
        return type(self.pipeline)

    @property
    def family(self) -> Family:
        """The facts about the class that its signature does not show."""
        return family_of(self.kind)

    @property
    def decoder(self) -> Any:
        """The component that turns latents into pixels; None if the pipeline has none."""
        parts = (getattr(self.pipeline, name, None) for name in ("vae", "movq"))
        return next((part for part in parts if part is not None), None)

    @property
    def denoiser(self) -> Any:
        """The component that is called at every step."""
        return getattr(self.pipeline, "transformer", None) or self.pipeline.unet

    def text_encoders(self) -> dict[str, torch.nn.Module]:
        """Return the text encoders that are in memory, by name."""
        parts = self.pipeline.components.items()
        return {name: part for name, part in parts if TEXT_ENCODER.fullmatch(name) and part is not None}

    def tokenizers(self) -> list[Any]:
        """Return the tokenizers that read the prompt, in the order of the encoders."""
        parts = sorted(self.pipeline.components.items())
        found = [part for name, part in parts if TOKENIZER.fullmatch(name) and part is not None]
        return [getattr(part, "tokenizer", part) for part in found]

    def worded(self, prompt: str) -> str:
        """Return the prompt as it is encoded: with the tokens that the attached LoRA has learned."""
        return self.learned.worded(prompt) if self.learned else prompt

    @property
    def is_compiled(self) -> bool:
        """Whether the denoiser is compiled, so that a batch of another size is compiled anew."""
        return not self.speed.get("compile", "no").startswith("no")

    @property
    def is_binned(self) -> bool:
        """Whether the pipeline samples at the nearest size it was trained on, and resizes the image."""
        return getattr(self.denoiser.config, "sample_size", None) in self.family.binned_sample_sizes
