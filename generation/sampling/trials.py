"""Trials of models: planned here, made by `trial_image` on a worker, shown before a study is launched.

A trial finds what only a worker knows: whether the model loads, what its class takes, what `auto` means as a dtype, how
long an image takes and how much memory. It is made again if the model's settings, the sampling parameters or the
product's version change, or if no worker that is running now has made it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from django.db import transaction

from generation.machines.workers import live_signs
from generation.models import DiffusionModel, ModelTrial
from generation.plans.orders import Order
from generation.plans.parameters import SPEED_FIELDS
from jobs.claims import requeue
from jobs.version import version
from jobs.wording import duration

# What a trial depends on. A resolved dtype follows from the first trial, so it is no part of it.
SETTINGS = (
    *("checkpoint", "revision", "variant", "lora", "lora_revision", "lora_file", "lora_scale"),
    *("dtype", "vae_dtype", "options", *SPEED_FIELDS),
)
COMPILING_PAYS_AFTER = 30 * 60  # seconds of a study's images, beside which those of compiling are few
State = ModelTrial.State


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a trial. Sizes are width and height in pixels; `memory_gib` is the device's peak, None on a CPU.

    picture: the image as the WebP file of its `grid2x` rendition, in base64; about 10 KB, so the row holds it.
    """

    pipeline: str
    dtype: str
    vae_dtype: str
    device_name: str
    load_seconds: float
    image_seconds: float
    memory_gib: float | None
    size: tuple[int, int]
    sampled_size: tuple[int, int]
    warnings: tuple[str, ...] = ()
    compile_seconds: float = 0.0  # of the first call, which compiles a model that asks for it
    picture: str = ""

    def in_words(self, name: str, image_count: int) -> str:
        """Return one sentence with the costs, and the time that `image_count` images take at this rate."""
        compiled = f"compiled in {self.compile_seconds:.0f} s, " if self.compile_seconds >= 1 else ""
        memory = "" if self.memory_gib is None else f" and {self.memory_gib:.1f} GiB of its memory"
        return (
            f"{name} was tried on {self.device_name} in {self.dtype}: loaded in {self.load_seconds:.0f} s, {compiled}"
            f"one image of {self.size[0]} x {self.size[1]} px in {self.image_seconds:.1f} s{memory}; "
            f"at this rate {image_count} images take {duration(image_count * self.image_seconds)}, less in batches."
        )


def speed_advice(model: DiffusionModel, outcome: Outcome, image_count: int) -> list[str]:
    """Return a sentence if compiling would pay: on a card, for a study that takes long."""
    if model.compile or outcome.device_name == "cpu" or image_count * outcome.image_seconds < COMPILING_PAYS_AFTER:
        return []
    return [
        f"{model.name}: compile = true may shorten this. Each worker then compiles for a minute or more first, and "
        "some pixels differ by about 1 of 255; try it with try_model before the study is launched."
    ]


def outcome_of(trial: ModelTrial) -> Outcome | None:
    """Return what a trial found; None if it is not done. A trial without parameters is a check (`inspection`)."""
    if trial.state != State.DONE or not trial.outcome or not trial.parameters:
        return None
    pairs = {name: tuple(trial.outcome[name]) for name in ("size", "sampled_size", "warnings")}
    return Outcome(**{**trial.outcome, **pairs})


def planned_trial(order: Order) -> ModelTrial:
    """Return the trial of a model with these parameters, created if missing.

    It is requeued if no worker that is running now has made it: another card may lack what the first one had.
    """
    trial, _is_new = ModelTrial.objects.get_or_create(
        fingerprint=fingerprint(order),
        defaults={
            "diffusion_model": order.diffusion_model,
            "prompt": order.prompt,
            "parameters": order.parameters.as_document(),
        },
    )
    hosts = {sign.name.partition("@")[2] for sign in live_signs().filter(queue="gpu", note="")}
    if trial.state == State.CANCELLED or (trial.state == State.DONE and hosts and _host(trial) not in hosts):
        requeue(ModelTrial.objects.filter(pk=trial.pk))
        trial.refresh_from_db()
    return trial


def record_outcome(trial: ModelTrial, outcome: Outcome) -> None:
    """Store what a trial found, and what `auto` means from now on for this model."""
    model = trial.diffusion_model
    with transaction.atomic():
        ModelTrial.objects.filter(pk=trial.pk, claimed_by=trial.claimed_by).update(outcome=asdict(outcome))
        unresolved = DiffusionModel.objects.filter(pk=model.pk, dtype=DiffusionModel.Dtype.AUTO, resolved_dtype="")
        unresolved.update(resolved_dtype=outcome.dtype)


def _host(trial: ModelTrial) -> str:
    """Return the host of the worker that made the trial: its claim is `queue@host:process/random`."""
    return trial.claimed_by.rpartition(":")[0].rpartition("@")[2]


def fingerprint(order: Order) -> str:
    """Return the hash of what a trial depends on."""
    model = order.diffusion_model
    settings = {name: getattr(model, name) for name in SETTINGS}
    whole = [model.name, settings, order.parameters.as_document(), version()]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
