"""The trials of a study's models: each makes one image on a worker before anything is planned."""

from collections.abc import Sequence

from django.conf import settings

from annotation.models import Study
from annotation.studies.current import current_manifests
from annotation.studies.manifest import Manifest
from generation.models import DiffusionModel, ModelTrial
from generation.plans.orders import Order
from generation.sampling.trials import fingerprint, outcome_of, planned_trial, speed_advice
from jobs import claims, messages
from jobs.wording import listed

State = ModelTrial.State


def is_to_try(study: Study) -> bool:
    """Return whether the models are tried before the study's sets are planned, and they are not planned yet.

    A dtype `auto` has to be resolved in any case: the plan of an image set names it.
    """
    if study.source != Study.Source.GENERATED or study.comparisons.exists():
        return False
    is_unresolved = any(model.dtype_in_use == DiffusionModel.Dtype.AUTO for model in study.diffusion_models)
    return settings.TRY_MODELS or is_unresolved


def ensure_tried(study: Study, manifest: Manifest) -> str:
    """Plan and enqueue the trials. Return in words what is still to be tried; empty if every trial has ended."""
    trials = [planned_trial(order) for order in _orders(study, manifest)]
    unsent = [trial for trial in trials if trial.state == State.QUEUED and trial.enqueued_at is None]
    messages.enqueue(unsent)
    waiting = [trial for trial in trials if trial.state in (State.QUEUED, State.RUNNING)]
    if not waiting:
        return ""
    names = listed([trial.diffusion_model.name for trial in waiting])
    return f"a worker makes one image of {names} first, to try what the study asks for"


def trial_faults(study: Study, manifest: Manifest) -> list[str]:
    """Return why trials of the study's models failed."""
    return [trial.error for trial in _trials(study, manifest) if trial.state == State.FAILED]


def retry_trials(study: Study, manifest: Manifest) -> None:
    """Queue the failed trials of the study again; `ensure_tried` sends their messages."""
    failed = [trial.pk for trial in _trials(study, manifest) if trial.state == State.FAILED]
    claims.retry(ModelTrial.objects.filter(pk__in=failed))


def trial_sentences(study: Study, manifest: Manifest) -> list[str]:
    """Return what the trials found: costs and warnings, or why a model cannot be used."""
    image_count = len(manifest.prompts) * len(manifest.seeds)
    sentences = []
    for trial in _trials(study, manifest):
        if outcome := outcome_of(trial):
            model = trial.diffusion_model
            sentences += [outcome.in_words(model.name, image_count), *outcome.warnings]
            sentences += speed_advice(model, outcome, image_count)
        elif trial.state == State.FAILED:
            sentences.append(trial.error)
    return sentences


def trial_sentences_of(studies: Sequence[Study]) -> dict[int, list[str]]:
    """Return the sentences of several studies, by the study's id: of those that were not opened yet."""
    shown = [study for study in studies if study.state in Study.BEFORE_OPENING]
    manifests = current_manifests(shown)
    return {study.pk: [] for study in studies} | {
        study.pk: trial_sentences(study, manifests[study.pk]) for study in shown
    }


def _orders(study: Study, manifest: Manifest) -> list[Order]:
    """Return what is tried of each model: the first prompt, with the study's parameters. Endpoints may cost money."""
    prompt = manifest.prompts[0].text
    models = (model for model in study.diffusion_models if not model.endpoint)
    return [Order(model, model.render_prompt(prompt), manifest.sampling) for model in models]


def _trials(study: Study, manifest: Manifest) -> list[ModelTrial]:
    if study.source != Study.Source.GENERATED:
        return []
    keys = [fingerprint(order) for order in _orders(study, manifest)]
    return list(ModelTrial.objects.filter(fingerprint__in=keys).select_related("diffusion_model"))
