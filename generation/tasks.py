"""Celery tasks of generation: thin, on the gpu queue, and on that of endpoints, which needs no device."""

import logging

from celery import shared_task

from generation.endpoints.image_jobs import make_by_endpoint
from generation.machines.card_failures import device_faults
from generation.machines.claiming import note_loaded, on_a_device, trials_to_make
from generation.machines.workers import may_take
from generation.models import GenerationJob, ModelTrial
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.recorded_images.lost_images import prepared_seeds
from generation.sampling.inspection import inspect, record_inspection
from generation.sampling.job_row import make_next_images
from generation.sampling.trials import record_outcome
from jobs.leases import Lease
from jobs.work import pass_on, work_next

logger = logging.getLogger(__name__)


@shared_task
def run_model_trial() -> None:
    """Try or check the model that was asked for first, and record what was found."""
    work_next(trials_to_make(), try_one)


def try_one(trial: ModelTrial, lease: Lease) -> None:
    """Make the one image of a trial and record what it cost; only check the files of one without parameters."""
    if not trial.parameters:
        record_inspection(trial, inspect(trial.diffusion_model, lease.check))
        return
    from generation.sampling.trial_image import try_model  # which loads torch

    model = trial.diffusion_model
    order = Order(model, trial.prompt, SamplingParameters(**trial.parameters))
    note_loaded(None)
    with device_faults(trial, owner=model.name):
        outcome = try_model(order, check=lease.check)
    record_outcome(trial, outcome)
    logger.info("tried %s in %.1f s (trial %s)", model, outcome.image_seconds, trial.pk)


@shared_task
def run_generation_job(_job_id: int = 0) -> None:
    """Run the jobs that this worker should do next. Running a job again after a crash gives the same images.

    Messages of version 0.2.0 hold a job's id, which is not read.
    """
    if not make_next_images():
        pass_on(GenerationJob.objects.filter(on_a_device()))


@shared_task
def run_endpoint_job() -> None:
    """Run the next job whose images an endpoint makes. It loads no torch."""
    asked = ~on_a_device()
    jobs = may_take(GenerationJob).filter(asked)
    work_next(jobs, ask_for_images, queued=GenerationJob.objects.filter(asked))


def ask_for_images(job: GenerationJob, lease: Lease) -> None:
    """Ask an endpoint for the missing images of a job, and record each one as soon as it is there."""
    if missing := prepared_seeds(job):
        make_by_endpoint(job, missing, lease)
