"""An installation with something on each of the admins' pages: workers, a sick card, jobs, a model that was tried."""

from base64 import b64encode
from dataclasses import asdict, replace
from io import BytesIO

from django.contrib.auth.models import User
from django.utils import timezone
from PIL import Image

from annotation.models import ReportJob, Study
from annotation.studies.installation.registry import request_check, request_trial
from generation.models import Card, DiffusionModel, GenerationJob, ImageSet, ModelTrial, Prompt, WorkerSign
from generation.plans.image_sets import plan_image_sets, plan_jobs
from generation.plans.parameters import SamplingParameters
from generation.sampling.inspection import Inspection
from jobs import claims
from scoring.models import ScoringJob
from tests.annotation.studies.worker import OUTCOME

FAULT = "miniature: the checkpoint /models/miniature holds no weights (*.safetensors)."
INSPECTION = Inspection(
    pipeline="StableDiffusionXLPipeline",
    weights_sha256="ab12" * 16,
    lora_sha256="",
    byte_count=6_940_000_000,
    licence="openrail++",
    host="gpu-host",
)


def busy_installation(study: Study, actor: User) -> DiffusionModel:
    """Fill the tables, and return the model that was checked and tried."""
    model = DiffusionModel.objects.create(name="miniature", checkpoint="/models/miniature", dtype="auto")
    DiffusionModel.objects.create(name="painter", endpoint="painter")
    _workers()
    _jobs(model, study)
    model.refresh_from_db()
    request_check(model=model, actor=actor)
    request_trial(model=model, prompt="a red bicycle", actor=actor)
    check, trial = ModelTrial.objects.get(parameters={}), ModelTrial.objects.exclude(parameters={}).get()
    done = {"state": "done", "finished_at": timezone.now()}
    ModelTrial.objects.filter(pk=check.pk).update(outcome=asdict(INSPECTION), **done)
    ModelTrial.objects.filter(pk=trial.pk).update(outcome=asdict(replace(OUTCOME, picture=picture())), **done)
    return model


def picture() -> str:
    """Return a picture of a trial."""
    buffer = BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((320, 320)).save(buffer, "WEBP")
    return b64encode(buffer.getvalue()).decode()


def _workers() -> None:
    cards = [Card.objects.create(key=f"GPU-{n}", host="gpu-host", number=str(n), name="NVIDIA L4") for n in (0, 1)]
    Card.objects.filter(pk=cards[1].pk).update(refused_at=timezone.now())
    for number in (1, 2):
        error = "CUDA error: uncorrectable ECC error encountered"
        cards[1].failures.create(task_name="generation.tasks.run_generation_job", job_id=number, error=error)
    seen = {"seen_at": timezone.now(), "version": "0.2.0"}
    WorkerSign.objects.create(
        name="gpu-0@gpu-host", queue="gpu", card=cards[0], model="miniature", memory_used=9 * 2**30,
        memory_total=24 * 2**30, **seen,
    )  # fmt: skip
    note = "gpu-host:1 failed on different jobs and takes no more."
    WorkerSign.objects.create(name="gpu-1@gpu-host", queue="gpu", card=cards[1], note=note, **seen)
    WorkerSign.objects.create(name="control@web-host", queue="control", **seen)


def _jobs(model: DiffusionModel, study: Study) -> None:
    model.dtype = "float32"
    sets = plan_image_sets(
        diffusion_model=model,
        prompts=[f"prompt {number} of the jobs" for number in range(3)],
        seeds=[1, 2, 3, 4],
        parameters=SamplingParameters(width=64, height=64),
    )
    plan_jobs(sets)
    first, second, third = GenerationJob.objects.filter(image_set__in=sets).order_by("pk")
    for job in (first, second):
        claimed = claims.claim_next(GenerationJob.objects.filter(pk=job.pk), worker="gpu-0@gpu-host:12")
        assert claimed
        if job == first:
            claims.fail(claimed, error=FAULT)
    assert third.state == "queued"
    ImageSet.objects.filter(pk=third.image_set_id).update(prompt=Prompt.objects.create(text="an endless " * 20))
    of_study = study.comparisons.earliest("pk").image_set_a
    ScoringJob.objects.create(
        image_set=of_study, metric="scs", state="failed", error="The encoder tiny is not a folder on this machine."
    )
    ReportJob.objects.create(study=study, metric="scs", stamp="a" * 64)
