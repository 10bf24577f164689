"""Set a pipeline's scheduler for one call, and return what was set."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import diffusers

SCHEDULERS = {
    "euler": diffusers.EulerDiscreteScheduler,
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "ddim": diffusers.DDIMScheduler,
    "dpm-solver": diffusers.DPMSolverMultistepScheduler,
    "unipc": diffusers.UniPCMultistepScheduler,
    "lcm": diffusers.LCMScheduler,
    "tcd": diffusers.TCDScheduler,
}


def scheduler_class(own: Any, name: str) -> Any:
    """Return the class of a scheduler by its name in SamplingParameters; `own` is the checkpoint's."""
    return type(own) if name == "checkpoint" else SCHEDULERS[name]


def can_replace(own: Any, name: str) -> bool:
    """Return whether the scheduler `name` can take the place of the checkpoint's own.

    A model trained by flow matching predicts something else: another scheduler would make noise of it.
    """
    config = own.config
    is_flow = (
        "FlowMatch" in type(own).__name__
        or config.get("use_flow_sigmas")
        or config.get("prediction_type") == "flow_prediction"
    )
    return not is_flow or scheduler_class(own, name) is type(own)


def settings_of(kind: Any) -> set[str]:
    """Return the names of the settings that a scheduler's class takes."""
    return set(inspect.signature(kind.__init__).parameters) - {"self"}


def new_scheduler(own: Any, name: str, settings: Mapping[str, Any]) -> Any:
    """Return a new scheduler with the checkpoint's settings, changed by `settings`; a used one keeps state."""
    return scheduler_class(own, name).from_config(own.config, **settings)


def scheduler_facts(scheduler: Any) -> dict[str, Any]:
    """Return the scheduler's class and the settings this class accepts (a config has other classes' keys too)."""
    names = settings_of(type(scheduler))
    config = {name: value for name, value in scheduler.config.items() if name in names}
    # JSON has no infinity, so such a float is written as its name.
    finite = {n: str(v) if isinstance(v, float) and not math.isfinite(v) else v for n, v in config.items()}
    return {"scheduler_class": type(scheduler).__name__, "scheduler_config": finite}
