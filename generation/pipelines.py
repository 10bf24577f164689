"""Diffusion pipelines: load one, keep it, dress it with a LoRA. The only module that imports diffusers.

A process keeps one pipeline and samples for one job at a time.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import diffusers
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from generation import adapters, checkpoints
from generation.devices import device, empty_memory, is_out_of_memory
from generation.models import DiffusionModel
from generation.prompt_checks import check_vocabulary
from jobs.refusals import Refused

diffusers.utils.logging.disable_progress_bar()

SCHEDULERS = {
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "ddim": diffusers.DDIMScheduler,
    "dpm-solver": diffusers.DPMSolverMultistepScheduler,
}
UNREACHABLE = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError)
BINNED_SAMPLE_SIZES = (32, 64, 128)  # of the PixArt transformers that were trained on bins of aspect ratios


@dataclass(frozen=True)
class Family:
    """What differs between the allowed pipelines: the names of their embeddings and a few arguments."""

    embeddings: tuple[str, ...]
    most_tokens: int | None = None  # the pipeline's own limit; else the tokenizer's
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


@dataclass
class Loaded:
    """A pipeline in memory, the LoRA it wears, the prompt it has encoded, and what is recorded of all that."""

    key: tuple[str, str, str]  # checkpoint, revision, dtype
    pipeline: Any
    family: Family
    facts: dict[str, Any]
    own_scheduler: Any
    lora: tuple[str, str, float | None] | None = None
    lora_facts: dict[str, Any] = field(default_factory=dict)
    encoded: dict[tuple[str, str, bool], dict[str, torch.Tensor]] = field(default_factory=dict)

    kept: ClassVar["Loaded | None"] = None

    def tokenizers(self) -> list[Any]:
        """The tokenizers that read the prompt."""
        parts = (getattr(self.pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
        return [tokenizer for tokenizer in parts if tokenizer is not None]

    def arguments(self, check: Callable[[], None]) -> dict[str, Any]:
        """What a call needs beyond the usual; `check` is called after every step.

        PixArt samples at the nearest size it was trained on and resizes, where it was trained on such sizes.
        """
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
        """Whether it is one of the PixArt pipelines, which take other arguments."""
        return isinstance(self.pipeline, diffusers.PixArtAlphaPipeline | diffusers.PixArtSigmaPipeline)

    @property
    def is_binned(self) -> bool:
        """Whether it samples at the nearest size it was trained on, and resizes."""
        return self.is_pixart and self.pipeline.transformer.config.sample_size in BINNED_SAMPLE_SIZES

    def scheduler_facts(self) -> dict[str, Any]:
        """The scheduler as it ran: its class and what that class was given (a config carries other classes' keys)."""
        scheduler = self.pipeline.scheduler
        names = inspect.signature(type(scheduler).__init__).parameters
        config = {name: value for name, value in scheduler.config.items() if name in names}
        # JSON has no infinity; a float that is one becomes its name.
        finite = {n: str(v) if isinstance(v, float) and not math.isfinite(v) else v for n, v in config.items()}
        return {"scheduler_class": type(scheduler).__name__, "scheduler_config": finite}

    def set_scheduler(self, name: str) -> None:
        """A fresh scheduler by its name in SamplingParameters; they keep state between calls."""
        kind = type(self.own_scheduler) if name == "checkpoint" else SCHEDULERS[name]
        self.pipeline.scheduler = kind.from_config(self.own_scheduler.config)


def load(model: DiffusionModel) -> Loaded:
    """The model's pipeline, wearing its LoRA and no other; the last one is kept.

    Raises Refused, naming model and file, where the checkpoint or the LoRA is missing, of a refused format, of a
    class that is not allowed, not pinned, not fetched, or does not fit.
    """
    key = (model.checkpoint, model.revision, model.dtype)
    if Loaded.kept is None or Loaded.kept.key != key:
        Loaded.kept = None  # before the next one is loaded: two may not fit side by side
        empty_memory()
        Loaded.kept = _load(model, key)
    _wear(Loaded.kept, model)
    return Loaded.kept


def _load(model: DiffusionModel, key: tuple[str, str, str]) -> Loaded:
    if not model.checkpoint:
        raise Refused(f"{model.name} has no checkpoint, so it makes no images: import them, or name a checkpoint.")
    if model.dtype == DiffusionModel.Dtype.FLOAT16 and device() == "cpu":
        raise Refused(f"{model.name}: float16 needs an accelerator, and this is a CPU: use float32 or bfloat16.")
    folder = _folder(model)
    index = checkpoints.read_index(folder, owner=model.name)
    kind = _allowed_class(index["_class_name"], model)
    files = checkpoints.weight_files(folder, index, owner=model.name)
    pipeline = _pipeline(kind, folder, model)
    facts = {
        "checkpoint": checkpoints.shown(model.checkpoint),
        "revision": model.revision,
        "weights_sha256": checkpoints.sha256_of(files, root=folder),
        "pipeline": kind.__name__,
    }
    loaded = Loaded(key, pipeline, FAMILIES[kind], facts, own_scheduler=pipeline.scheduler)
    check_vocabulary(loaded.tokenizers(), checkpoint=str(folder), owner=model.name)
    return loaded


def _folder(model: DiffusionModel) -> Path:
    path = checkpoints.local_path(model.checkpoint, revision=model.revision, owner=model.name)
    if path is not None:
        return path
    try:
        return Path(
            diffusers.DiffusionPipeline.download(
                model.checkpoint, revision=model.revision, use_safetensors=True, trust_remote_code=False
            )
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise Refused(_unfetched(model.name, model.checkpoint, model.revision, error)) from error


def _allowed_class(name: str, model: DiffusionModel) -> type:
    """The text-to-image pipeline behind a checkpoint's class, as AutoPipelineForText2Image finds it.

    One that is filed under another task shares its components and is named after it: diffusers' own table says no
    more for the classes allowed here, and importing it would import every pipeline there is.
    """
    allowed = {kind.__name__: kind for kind in FAMILIES}
    kind = allowed.get(name.replace("Img2Img", "").replace("Inpaint", ""))
    if kind is None:
        raise Refused(f"{model.name}: {model.checkpoint} is a {name}; allowed are {', '.join(sorted(allowed))}.")
    return kind


def _pipeline(kind: Any, folder: Path, model: DiffusionModel) -> Any:
    try:
        pipeline = kind.from_pretrained(
            folder,
            dtype=getattr(torch, model.dtype),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            **FAMILIES[kind].loading,
        ).to(device())
    except Exception as error:  # broken files end in whichever error their reader happens to raise
        if is_out_of_memory(error):
            raise
        raise Refused(f"{model.name}: the checkpoint {folder} cannot be loaded ({_brief(error)}).") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _wear(loaded: Loaded, model: DiffusionModel) -> None:
    wanted = (model.lora, model.lora_revision, model.lora_scale) if model.lora else None
    if loaded.lora == wanted:
        return
    loaded.encoded.clear()  # a LoRA may change the text encoders
    loaded.lora, loaded.lora_facts = None, {}
    adapters.take_off(loaded.pipeline)
    if wanted is None or model.lora_scale is None:  # a constraint keeps LoRA and scale together
        return
    file = checkpoints.lora_file(_lora_path(model), owner=model.name)
    adapters.put_on(loaded.pipeline, file, scale=model.lora_scale, owner=model.name)
    loaded.lora = wanted
    loaded.lora_facts = {
        "lora": checkpoints.shown(model.lora),
        "lora_revision": model.lora_revision,
        "lora_scale": model.lora_scale,
        "lora_sha256": checkpoints.sha256_of([file], root=file.parent),
    }


def _lora_path(model: DiffusionModel) -> Path:
    path = checkpoints.local_path(model.lora, revision=model.lora_revision, owner=model.name)
    if path is not None:
        return path
    try:
        return Path(snapshot_download(model.lora, revision=model.lora_revision, allow_patterns=["*.safetensors"]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise Refused(_unfetched(model.name, model.lora, model.lora_revision, error)) from error


def _unfetched(owner: str, name: str, revision: str, error: Exception) -> str:
    if any(isinstance(cause, UNREACHABLE) for cause in _causes(error)):
        reason = "it is not on this machine and the hub cannot be reached; connect once, or give a local folder"
    else:
        reason = _brief(error)
    return f"{owner}: {name} at {revision} was not fetched: {reason}."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and all that led to it, by either way that exceptions are chained."""
    if error is not None:
        yield error
        yield from _causes(error.__cause__)
        yield from _causes(error.__context__)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
