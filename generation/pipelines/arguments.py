"""The arguments with which a pipeline of any class is called, and what a class cannot do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from generation.pipelines.families import WANTED, call_signature
from generation.pipelines.loaded import Loaded
from generation.pipelines.prompt_checks import check_prompt
from generation.pipelines.schedulers import can_replace, scheduler_class, settings_of
from generation.plans.orders import Order
from generation.plans.parameters import SCHEDULERS
from jobs.refusals import Refused

# Set here for every call, or made by the pipeline itself: no option of a study file changes them.
OURS = {*WANTED, "guidance_scale", "return_dict", "generator", "negative_prompt", "use_resolution_binning"}
NOT_OPTIONS = ("embed", "image", "latents", "mask", "callback", "kwargs", "video", "token_ids")
KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text"}  # bool first: it is an int too
SIZES = ("_size", "_left")  # options of two numbers, which diffusers wants as a tuple


@dataclass(frozen=True)
class Options:
    """The options of a model: further arguments of the call, the scheduler's name, settings of the scheduler."""

    call: Mapping[str, Any]
    scheduler: str
    scheduler_settings: Mapping[str, Any]


def options_of(loaded: Loaded, order: Order) -> Options:
    """Return the model's options, checked against what its class and its scheduler take. Raises Refused with both."""
    model = order.diffusion_model
    options = dict(model.options)
    scheduler = options.pop("scheduler", order.parameters.scheduler)
    if scheduler not in SCHEDULERS:
        raise Refused(f"{model.name}: options.scheduler is {scheduler!r}, which is none of {', '.join(SCHEDULERS)}.")
    if not can_replace(loaded.own_scheduler, scheduler) or (
        loaded.family.keeps_scheduler and scheduler != "checkpoint"
    ):
        raise Refused(
            f"{model.name}: {loaded.kind.__name__} works with the checkpoint's own scheduler only, and this is "
            f'"{scheduler}": write scheduler = "checkpoint" in [models.x.options], or in [sampling] for both models.'
        )
    takes = option_names(loaded.kind)
    settings = settings_of(scheduler_class(loaded.own_scheduler, scheduler))
    for name in options:
        if name not in takes and name not in settings:
            raise Refused(
                f"{model.name}: options.{name} is nothing that {loaded.kind.__name__} takes; allowed are "
                f"{', '.join(sorted(takes))}; scheduler; and of the scheduler {', '.join(sorted(settings))}."
            )
    call = {name: _as_taken(name, value, loaded, order) for name, value in options.items() if name in takes}
    return Options(call, scheduler, {name: value for name, value in options.items() if name not in takes})


def option_names(kind: Any) -> set[str]:
    """Return the arguments of a call that a study file may give as options."""
    return {
        name
        for name in call_signature(kind)
        if name not in OURS and not name.startswith(("prompt", "negative_prompt")) and not _is_no_option(name)
    }


def _is_no_option(name: str) -> bool:
    return any(part in name for part in NOT_OPTIONS)


def _as_taken(name: str, value: Any, loaded: Loaded, order: Order) -> Any:
    """Return an option as the call takes it. Raises Refused for a text whose default is a number, for example."""
    default = call_signature(loaded.kind)[name]
    wanted = next((words for kind, words in KINDS.items() if isinstance(default, kind)), "")
    if wanted and wanted != next((words for kind, words in KINDS.items() if isinstance(value, kind)), ""):
        raise Refused(
            f"{order.diffusion_model.name}: options.{name} is {value!r:.80}; {loaded.kind.__name__} takes {wanted}."
        )
    return tuple(value) if isinstance(value, list) and name.endswith(SIZES) else value


def check_order(loaded: Loaded, order: Order) -> None:
    """Raise Refused if the class cannot do what the parameters ask for, and would ignore it silently."""
    model, parameters = order.diffusion_model, order.parameters
    options = options_of(loaded, order)
    if parameters.negative_prompt and not _takes_negative_prompt(loaded, options):
        way_out = "give options.true_cfg_scale above 1, or " if "true_cfg_scale" in call_signature(loaded.kind) else ""
        raise Refused(
            f"{model.name}: {loaded.kind.__name__} takes no negative prompt; {way_out}"
            "leave negative_prompt out of [sampling]."
        )
    if parameters.guidance_scale > 1 and not _takes_guidance(loaded) and not _is_truly_guided(options):
        way_out = "give options.true_cfg_scale, or " if "true_cfg_scale" in call_signature(loaded.kind) else ""
        raise Refused(
            f"{model.name}: this checkpoint takes no guidance_scale (it was trained without one); {way_out}"
            "write guidance_scale = 1 in [sampling]."
        )


def _is_truly_guided(options: Options) -> bool:
    return float(options.call.get("true_cfg_scale", 1)) > 1


def _takes_negative_prompt(loaded: Loaded, options: Options) -> bool:
    takes = call_signature(loaded.kind)
    return "negative_prompt" in takes and ("true_cfg_scale" not in takes or _is_truly_guided(options))


def _takes_guidance(loaded: Loaded) -> bool:
    """Return whether guidance_scale changes an image. A distilled model may have no input for it."""
    takes = call_signature(loaded.kind)
    if "guidance_scale" not in takes or loaded.pipeline.config.get("is_distilled"):
        return False
    return "true_cfg_scale" not in takes or bool(getattr(loaded.denoiser.config, "guidance_embeds", False))


def text_arguments(loaded: Loaded, order: Order) -> dict[str, Any]:
    """Return the arguments of a call that its text encoders may see: prompts, guidance, options."""
    options = options_of(loaded, order)
    takes = call_signature(loaded.kind)
    arguments = {**loaded.family.arguments, **options.call, "prompt": loaded.worded(order.prompt)}
    if _takes_guidance(loaded):
        arguments["guidance_scale"] = order.parameters.guidance_scale
    elif "guidance_scale" in takes and "true_cfg_scale" not in takes:
        arguments["guidance_scale"] = 1.0
    if _takes_negative_prompt(loaded, options):
        arguments["negative_prompt"] = loaded.worded(order.parameters.negative_prompt)
    return arguments


def call_arguments(loaded: Loaded, order: Order, seeds: Sequence[int], check: Callable[[], None]) -> dict[str, Any]:
    """Return all arguments of the call that samples a batch; `check` is called after every step."""
    parameters = order.parameters
    binning = {"use_resolution_binning": loaded.is_binned} if loaded.family.binned_sample_sizes else {}
    return {
        **text_arguments(loaded, order),
        **_after_each_step(loaded.kind, check),
        **binning,
        "num_images_per_prompt": len(seeds),
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        "width": parameters.width,
        "height": parameters.height,
        "num_inference_steps": parameters.num_inference_steps,
        "output_type": "np",
    }


def check_prompts(loaded: Loaded, order: Order) -> None:
    """Raise Refused if the prompt or the negative prompt is longer than the class reads, or in unknown characters."""
    takes = call_signature(loaded.kind)
    limit = options_of(loaded, order).call.get("max_sequence_length") or takes.get("max_sequence_length")
    tokenizers = loaded.tokenizers()
    if "max_sequence_length" in takes:
        # Beside a long text encoder a short one gives a summary, for which the beginning of a prompt is enough.
        tokenizers = tokenizers[-1:]
    for text in (order.prompt, order.parameters.negative_prompt):
        most = limit if isinstance(limit, int) else None
        check_prompt(loaded.worded(text), tokenizers, most_tokens=most, owner=order.diffusion_model.name)


def _after_each_step(kind: Any, check: Callable[[], None]) -> dict[str, Any]:
    """Return the argument that makes a class call `check` after every step; classes have one of two."""
    if "callback_on_step_end" not in call_signature(kind):
        return {"callback": lambda *_: check()} if "callback" in call_signature(kind) else {}

    def after_step(_pipeline: Any, _step: int, _time: int, values: dict[str, Any]) -> dict[str, Any]:
        check()
        return values

    return {"callback_on_step_end": after_step}
