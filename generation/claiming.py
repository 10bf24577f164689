"""Which generation jobs this process may take, and which it takes first."""

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from generation.card_failures import other_kinds_serve, too_large
from generation.hub.wanted import is_at_hand
from generation.models import DiffusionModel, GenerationJob
from generation.workers import may_take_on_this_card
from jobs.claims import due


class _Process:
    """What this process has in memory: the model whose images it made last."""

    loaded: DiffusionModel | None = None


def note_loaded(model: DiffusionModel | None) -> None:
    """Remember the model that is in memory now; None if it is unknown."""
    _Process.loaded = model


def can_make(model: DiffusionModel) -> bool:
    """Return whether this process can make images of the model now: its files are here, and its device can run it."""
    has_room = model.name not in too_large or not other_kinds_serve()
    return is_at_hand(model) and has_room and can_run(model)


def can_run(_model: DiffusionModel) -> bool:
    """Return whether this process's device can compute with the model's dtype."""
    return True


def jobs_to_make() -> QuerySet[GenerationJob]:
    """Return the jobs that this process may take: of models that it can make images of, and that its card may do."""
    jobs = may_take_on_this_card(GenerationJob)
    waiting = due(GenerationJob.objects.all()).order_by().values("image_set__diffusion_model").distinct()
    unfit = [model.pk for model in DiffusionModel.objects.filter(pk__in=waiting) if not can_make(model)]
    return jobs.exclude(image_set__diffusion_model__in=unfit) if unfit else jobs


def preferences() -> Sequence[Q]:
    """Return which jobs go first: those of the loaded model, then those that share its checkpoint."""
    loaded = _Process.loaded
    if loaded is None:
        return ()
    model = "image_set__diffusion_model"
    same = {f"{model}__{field}": getattr(loaded, field) for field in ("checkpoint", "revision", "variant", "dtype")}
    return (Q(**{model: loaded.pk}), Q(**same))
