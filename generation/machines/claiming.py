"""Choose the generation jobs that this process may take, and those that it takes first."""

from collections.abc import Sequence
from typing import TypeVar

from django.db.models import Q, QuerySet

from generation.hub.wanted import is_at_hand
from generation.machines.card_failures import other_kinds_serve, too_large
from generation.machines.workers import may_take_on_this_card
from generation.models import DiffusionModel, GenerationJob, ModelTrial
from jobs.claims import due
from jobs.models import LeasedJob

J = TypeVar("J", bound=LeasedJob)


class _Process:
    """The contents of this process's memory: the model whose images it made last."""

    loaded: DiffusionModel | None = None


def note_loaded(model: DiffusionModel | None) -> None:
    """Remember the model that is in memory now; None if it is unknown."""
    _Process.loaded = model


def can_make(model: DiffusionModel) -> bool:
    """Return whether this process can make images of the model now: its files are here, and its device can run it.

    If no other kind of device serves, it takes the jobs nevertheless, and they fail with a sentence.
    """
    has_room = model.name not in too_large or not other_kinds_serve()
    return is_at_hand(model) and has_room and (can_run(model) or not other_kinds_serve())


def can_run(model: DiffusionModel) -> bool:
    """Return whether this process's device computes in the model's dtype."""
    if model.dtype_in_use not in ("float16", "bfloat16"):  # any device does, so torch need not be loaded for it
        return True
    from generation.machines.devices import can_compute_in

    return can_compute_in(model.dtype_in_use)


def jobs_to_make() -> QuerySet[GenerationJob]:
    """Return the jobs that this process may take: of models that it can make images of, and that its card may do."""
    return _fit(may_take_on_this_card(GenerationJob).filter(on_a_device()), "image_set__diffusion_model")


def trials_to_make() -> QuerySet[ModelTrial]:
    """Return the trials that this process may take, by the same rules."""
    return _fit(may_take_on_this_card(ModelTrial), "diffusion_model")


def _fit(jobs: QuerySet[J], field: str) -> QuerySet[J]:
    """Return the jobs without those of models that this process cannot make images of; `field` leads to the model."""
    waiting = due(jobs.model._default_manager.all()).order_by().values(field).distinct()
    unfit = [model.pk for model in DiffusionModel.objects.filter(pk__in=waiting) if not can_make(model)]
    return jobs.exclude(**{f"{field}__in": unfit}) if unfit else jobs


def on_a_device() -> Q:
    """Return the condition that a job's images are sampled here, and not asked of an endpoint."""
    return Q(image_set__diffusion_model__endpoint="")


def preferences() -> Sequence[Q]:
    """Return which jobs go first: those of the loaded model, then those that share its checkpoint."""
    loaded = _Process.loaded
    if loaded is None:
        return ()
    model = "image_set__diffusion_model"
    same = {f"{model}__{field}": getattr(loaded, field) for field in ("checkpoint", "revision", "variant", "dtype")}
    return (Q(**{model: loaded.pk}), Q(**same))
