"""Load a diffusion pipeline, cache it, and attach a LoRA. The only module that imports diffusers.

A process caches one pipeline and samples for one job at a time. A LoRA is never fused into the weights, so detaching it
restores them exactly.
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

from generation import checkpoints
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
ADAPTER = "study"
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


@dataclass
class Loaded:
    """A pipeline in memory, its attached LoRA, its encoded prompt, and the facts recorded with each image."""

    key: tuple[str, str, str]  # checkpoint, revision, dtype
    pipeline: Any
    family: Family
    facts: dict[str, Any]
    own_scheduler: Any
    lora: tuple[str, str, float | None] | None = None
    lora_facts: dict[str, Any] = field(default_factory=dict)
    encoded: dict[tuple[str, str, bool], dict[str, torch.Tensor]] = field(default_factory=dict)

    cached: ClassVar["Loaded | None"] = None

    def tokenizers(self) -> list[Any]:
        """The tokenizers that read the prompt."""
        parts = (getattr(self.pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
        return [tokenizer for tokenizer in parts if tokenizer is not None]

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


def load(model: DiffusionModel) -> Loaded:
    """Return the model's pipeline with its LoRA attached and no other; the last pipeline is cached.

    Raises Refused, naming model and file, if the checkpoint or the LoRA is missing, not pinned, not fetched, of a
    refused format or class, or does not fit.
    """
    key = (model.checkpoint, model.revision, model.dtype)
    if Loaded.cached is None or Loaded.cached.key != key:
        Loaded.cached = None  # first, because two pipelines may not fit into memory
        empty_memory()
        Loaded.cached = _load(model, key)
    _attach_lora(Loaded.cached, model)
    return Loaded.cached


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
    """Return the text-to-image pipeline for a checkpoint's class, as AutoPipelineForText2Image finds it.

    An image-to-image or inpainting class has the same components and a similar name. For the classes allowed here
    diffusers' own table says no more, and importing it would import every pipeline.
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
    except Exception as error:  # the error's type depends on the reader of the broken file
        if is_out_of_memory(error):
            raise
        raise Refused(f"{model.name}: the checkpoint {folder} cannot be loaded ({_brief(error)}).") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _attach_lora(loaded: Loaded, model: DiffusionModel) -> None:
    """Detach the last LoRA and attach the model's, unless it is attached already."""
    wanted = (model.lora, model.lora_revision, model.lora_scale) if model.lora else None
    if loaded.lora == wanted:
        return
    loaded.encoded.clear()  # a LoRA may change the text encoders
    loaded.lora, loaded.lora_facts = None, {}
    if hasattr(loaded.pipeline, "unload_lora_weights"):
        loaded.pipeline.unload_lora_weights()
    if wanted is None or model.lora_scale is None:  # a constraint keeps LoRA and scale together
        return
    file = checkpoints.lora_file(_lora_path(model), owner=model.name)
    _load_lora(loaded.pipeline, file, owner=model.name)
    loaded.pipeline.set_adapters([ADAPTER], [model.lora_scale])
    loaded.lora = wanted
    loaded.lora_facts = {
        "lora": checkpoints.shown(model.lora),
        "lora_revision": model.lora_revision,
        "lora_scale": model.lora_scale,
        "lora_sha256": checkpoints.sha256_of([file], root=file.parent),
    }


def _load_lora(pipeline: Any, file: Path, *, owner: str) -> None:
    """Load a LoRA into a pipeline. Raises Refused, with the pipeline unchanged, if it does not fit."""
    if not hasattr(pipeline, "load_lora_weights"):
        raise Refused(f"{owner}: {type(pipeline).__name__} takes no LoRA, so {file.name} cannot be used with it.")
    fault = ""
    try:
        pipeline.load_lora_weights(
            file.parent, weight_name=file.name, adapter_name=ADAPTER, local_files_only=True, use_safetensors=True
        )
    except Exception as error:  # the error's type depends on the first shape that does not match
        fault = _brief(error)
    # diffusers loads a LoRA whose keys match no layer without an error; it would change nothing.
    if not fault and not any(ADAPTER in names for names in pipeline.get_list_adapters().values()):
        fault = "none of its layers exist there"
    if fault:
        pipeline.unload_lora_weights()
        raise Refused(f"{owner}: the LoRA {file.name} does not fit the checkpoint ({fault}).")


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
    """Yield an exception and its causes and contexts."""
    if error is not None:
        yield error
        yield from _causes(error.__cause__)
        yield from _causes(error.__context__)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
