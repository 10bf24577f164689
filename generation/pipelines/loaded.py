"""A pipeline in memory, with the facts that are recorded with each of its images."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import diffusers
import torch

from generation.pipelines.families import BINNED_SAMPLE_SIZES, SCHEDULERS, Family
from generation.pipelines.learned_tokens import LearnedTokens


@dataclass
class Loaded:
    """A pipeline in memory, its attached LoRA, its encoded prompt, and the facts recorded with each image."""

    key: tuple[str, ...]  # checkpoint, revision, variant, dtype
    pipeline: Any
    family: Family
    facts: dict[str, Any]
    own_scheduler: Any
    lora: tuple[str, str, str, float | None] | None = None
    lora_facts: dict[str, Any] = field(default_factory=dict)
    learned: LearnedTokens | None = None
    encoded: dict[tuple[str, str, bool], dict[str, torch.Tensor]] = field(default_factory=dict)

    cached: ClassVar["Loaded | None"] = None

    def tokenizers(self) -> list[Any]:
        """The tokenizers that read the prompt."""
        parts = (getattr(self.pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
        return [tokenizer for tokenizer in parts if tokenizer is not None]

    def worded(self, prompt: str) -> str:
        """Return the prompt as it is encoded: with the tokens that the attached LoRA has learned."""
        return self.learned.worded(prompt) if self.learned else prompt

    def arguments(self, check: Callable[[], None]) -> dict[str, Any]:
        """Return the arguments of a call that depend on the pipeline's class; `check` is called after every step."""
        if self.is_pixart:
            return {
                "callback": lambda *_: check(),
                "clean_caption": False,
                "use_resolution_binning": self.is_binned,
                "negative_prompt": None,
            }

        def after_step(_pipeline: Any, _step: int, _time: int, values: dict[str, Any]) -> dict[str, Any]:
            check()
            return values

        return {"callback_on_step_end": after_step}

    @property
    def is_pixart(self) -> bool:
        """Whether this is a PixArt pipeline, which takes other arguments."""
        return isinstance(self.pipeline, diffusers.PixArtAlphaPipeline | diffusers.PixArtSigmaPipeline)

    @property
    def is_binned(self) -> bool:
        """Whether the pipeline samples at the nearest size it was trained on, and resizes the image."""
        return self.is_pixart and self.pipeline.transformer.config.sample_size in BINNED_SAMPLE_SIZES

    def scheduler_facts(self) -> dict[str, Any]:
        """Return the scheduler's class and the settings this class accepts (a config has other classes' keys too)."""
        scheduler = self.pipeline.scheduler
        names = inspect.signature(type(scheduler).__init__).parameters
        config = {name: value for name, value in scheduler.config.items() if name in names}
        # JSON has no infinity, so such a float is written as its name.
        finite = {n: str(v) if isinstance(v, float) and not math.isfinite(v) else v for n, v in config.items()}
        return {"scheduler_class": type(scheduler).__name__, "scheduler_config": finite}

    def set_scheduler(self, name: str) -> None:
        """Set a new scheduler by its name in SamplingParameters; a used one keeps state between calls."""
        kind = type(self.own_scheduler) if name == "checkpoint" else SCHEDULERS[name]
        self.pipeline.scheduler = kind.from_config(self.own_scheduler.config)
