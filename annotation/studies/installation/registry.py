"""The models of the installation: what each one is, which studies use it, and what its last check and trial found."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet

from annotation.models import Study, StudyModel
from annotation.studies.audit import record
from annotation.studies.study_file.registered import SETTINGS
from generation.models import DiffusionModel, EndpointAccount, ImageSet, ModelTrial
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling.inspection import Inspection, inspection_of, planned_check
from generation.sampling.trials import Outcome, fingerprint, outcome_of, planned_trial
from generation.weights.checkpoints import shown
from jobs import claims, messages
from jobs.refusals import Refused

State = ModelTrial.State
IN_WORK = (State.QUEUED, State.RUNNING)
USUAL_PROMPT = "a red bicycle leaning on a white wall"
LONGEST_PROMPT = 500


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model as the registry shows it. check, trial: the latest job of each, which may still wait or have failed.

    source: `checkpoint`, `endpoint`, or `images` if it has only imported ones. account: of its endpoint.
    """

    model: DiffusionModel
    studies: tuple[Study, ...]
    check: ModelTrial | None
    trial: ModelTrial | None
    account: EndpointAccount | None

    @property
    def source(self) -> str:
        """Return where its images come from: endpoint, checkpoint, or images that were imported."""
        if self.model.endpoint:
            return "endpoint"
        return "checkpoint" if self.model.checkpoint else "images"

    @property
    def place(self) -> str:
        """The checkpoint without the folders of the machine, and the commit if it is pinned."""
        revision = f" at {self.model.revision[:12]}" if self.model.revision else ""
        lora = f" + {shown(self.model.lora)}" if self.model.lora else ""
        return f"{shown(self.model.checkpoint)}{revision}{lora}" if self.model.checkpoint else self.model.endpoint

    @property
    def inspection(self) -> Inspection | None:
        """Return what the last check found, or None."""
        return inspection_of(self.check) if self.check else None

    @property
    def outcome(self) -> Outcome | None:
        """Return what the last trial found, or None."""
        return outcome_of(self.trial) if self.trial else None

    @property
    def pipeline(self) -> str:
        """Its class; empty until a worker has checked or tried it."""
        found = self.inspection or self.outcome
        return found.pipeline if found else ""

    @property
    def is_busy(self) -> bool:
        """Whether a worker has yet to finish its check or trial."""
        return any(job is not None and job.state in IN_WORK for job in (self.check, self.trial))

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, by their names in a study file."""
        fields = {field.name: field for field in DiffusionModel._meta.fields}
        plain = {name: getattr(self.model, name) for name in SETTINGS}
        return {name: value for name, value in plain.items() if value != fields[name].get_default() and value}


def registered(words: str = "") -> QuerySet[DiffusionModel]:
    """Return the models whose name, checkpoint or endpoint holds the words, by name."""
    rows = DiffusionModel.objects.order_by("name", "pk")
    if not words:
        return rows
    return rows.filter(name__icontains=words) | rows.filter(checkpoint__icontains=words)


def described(models: list[DiffusionModel]) -> list[RegisteredModel]:
    """Return what the registry shows of the models, with three queries for all of them."""
    ids = [model.pk for model in models]
    studies: defaultdict[int, list[Study]] = defaultdict(list)
    uses = StudyModel.objects.filter(diffusion_model__in=ids).select_related("study").order_by("-study__pk")
    for use in uses.only("diffusion_model", "study__slug", "study__name", "study__state"):
        if use.study not in studies[use.diffusion_model_id]:
            studies[use.diffusion_model_id].append(use.study)
    latest: dict[tuple[int, bool], ModelTrial] = {}
    for trial in ModelTrial.objects.filter(diffusion_model__in=ids).order_by("created_at", "pk"):
        key = (trial.diffusion_model_id, bool(trial.parameters))
        if key not in latest or _moment(trial) >= _moment(latest[key]):
            latest[key] = trial
    accounts = {one.name: one for one in EndpointAccount.objects.filter(name__in=[one.endpoint for one in models])}
    return [
        RegisteredModel(
            model=one,
            studies=tuple(studies[one.pk]),
            check=latest.get((one.pk, False)),
            trial=latest.get((one.pk, True)),
            account=accounts.get(one.endpoint),
        )
        for one in models
    ]


def _moment(trial: ModelTrial) -> Any:
    return max(moment for moment in (trial.created_at, trial.started_at, trial.finished_at) if moment)


def request_check(*, model: DiffusionModel, actor: User) -> None:
    """Ask a worker to check the files of a model again. Refused for a model without a checkpoint."""
    _refuse_without_checkpoint(model)
    _again(planned_check(model))
    record("model check asked for", actor=actor, model=model.name)


def request_trial(*, model: DiffusionModel, prompt: str, actor: User) -> None:
    """Ask a worker for one image of a model, with the parameters of its latest image set. Refused without a prompt."""
    _refuse_without_checkpoint(model)
    prompt = " ".join(prompt.split())
    if not prompt or len(prompt) > LONGEST_PROMPT:
        raise Refused(f"prompt: write what the image shows, in at most {LONGEST_PROMPT} letters.")
    order = Order(model, model.render_prompt(prompt), usual_parameters(model))
    trial = ModelTrial.objects.filter(fingerprint=fingerprint(order)).first() or planned_trial(order)
    ModelTrial.objects.filter(pk=trial.pk).exclude(state=State.RUNNING).update(prompt=order.prompt)
    _again(trial)
    record("model trial asked for", actor=actor, model=model.name)


def usual_parameters(model: DiffusionModel) -> SamplingParameters:
    """Return the sampling parameters of the model's latest generated set; the defaults if it has none."""
    sets = ImageSet.objects.filter(diffusion_model=model, origin=ImageSet.Origin.GENERATED).order_by("-pk")
    latest = sets.values_list("parameters", flat=True).first()
    return SamplingParameters(**latest) if latest else SamplingParameters()


def _refuse_without_checkpoint(model: DiffusionModel) -> None:
    if model.endpoint:
        raise Refused(f"{model} is an endpoint, whose images may cost money: try it by the command try_model.")
    if not model.checkpoint:
        raise Refused(f"{model} has only imported images: there is nothing to load.")


def _again(job: ModelTrial) -> None:
    claims.requeue(ModelTrial.objects.filter(pk=job.pk))
    messages.enqueue(ModelTrial.objects.filter(pk=job.pk, state=State.QUEUED))
