"""Celery tasks of generation: thin, on the gpu queue, and on that of endpoints, which needs no device."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from celery import shared_task

from generation.endpoints.image_jobs import make_by_endpoint
from generation.machines.card_failures import device_faults
from generation.machines.claiming import jobs_to_make, note_loaded, on_a_device, preferences, trials_to_make
from generation.machines.workers import may_take, note_work
from generation.models import GenerationJob, ModelTrial
from generation.pictures import renditions
from generation.plans.image_sets import missing_seeds
from generation.plans.orders import Order, unfinished_orders
from generation.plans.parameters import SamplingParameters
from generation.recorded_images.lost_images import lost_seeds, remove_remains
from generation.sampling.inspection import inspect, record_inspection
from generation.sampling.recording import Recorder, sinks_for
from generation.sampling.trials import record_outcome
from jobs.leases import Lease
from jobs.wording import counted
from jobs.work import run_next, work_next

logger = logging.getLogger(__name__)

MOST_OVERLAPPING = {"cuda": 16, "cpu": 1}  # a minute of an H100, after which other kinds of jobs have their turn
Check = Callable[[], None]


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
    """Run the job that this worker should do next. Running a job again after a crash gives the same images.

    Messages of version 0.2.0 hold a job's id, which is not read.
    """
    queued = GenerationJob.objects.filter(on_a_device())
    work_next(jobs_to_make(), make_images, prefer=preferences(), queued=queued)


def _run_following_job(recorder: Recorder, lease: Lease, before: Sequence[Check]) -> None:
    """Sample the next due job while the last batch of this one is recorded, so that a card does not wait for files.

    What stops this job is raised after the other one has ended, which goes on undisturbed.
    """
    faults: list[BaseException] = []

    def check() -> None:
        try:
            if not faults:
                lease.check()
                recorder.check()
        except Exception as error:
            faults.append(error)

    def make(job: GenerationJob, its_lease: Lease) -> None:
        make_images(job, its_lease, before=(*before, check))

    run_next(jobs_to_make(), make, prefer=preferences())
    if faults:
        raise faults[0]


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


def make_images(job: GenerationJob, lease: Lease, before: Sequence[Check] = ()) -> None:
    """Sample the batches of a job that lack an image, each whole, and record their missing images.

    before: the checks of jobs whose last batch is being recorded.
    """
    missing = prepared_seeds(job)
    if not missing:
        return
    # Sinks use the device too.
    with (
        device_faults(job, owner=job.image_set.diffusion_model.name),
        Recorder(job, missing, sinks_for(job)) as recorder,
    ):
        _sample(job, missing, recorder, [lease.check, recorder.check, *before])
        if recorder.is_busy and len(before) < most_overlapping() - 1:
            _run_following_job(recorder, lease, before)
        recorder.finish()


def most_overlapping() -> int:
    """Return how many jobs in a row may overlap on this process's device; on a CPU they would compete for the cores."""
    from generation.machines.devices import device

    return MOST_OVERLAPPING[device()]


def prepared_seeds(job: GenerationJob) -> list[int]:
    """Mend what a killed worker left of a job, and return the seeds without an image or without its file."""
    image_set = job.image_set
    lost = lost_seeds(image_set, job.seeds)
    renditions.mend(image_set.images.filter(seed__in=job.seeds).exclude(seed__in=lost))
    missing = [seed for seed in missing_seeds(image_set) if seed in job.seeds]
    if missing:
        remove_remains(image_set, missing)
    return [seed for seed in job.seeds if seed in {*missing, *lost}]


def _sample(job: GenerationJob, missing: list[int], recorder: Recorder, checks: Sequence[Check]) -> None:
    # Imported here, so that only a worker that makes images loads torch. The job is claimed before: the import takes
    # seconds, and the job counts as running meanwhile.
    from generation.machines.devices import memory_in_use
    from generation.sampling.sampling import batches_of, largest_batch, sample_batches

    image_set = job.image_set
    order = Order(
        diffusion_model=image_set.diffusion_model,
        prompt=image_set.rendered_prompt,
        parameters=SamplingParameters(**image_set.parameters),
    )
    note_loaded(None)  # until the model is loaded, which may fail half-way
    upcoming = partial(unfinished_orders, image_set.diffusion_model)
    began = time.monotonic()
    batches = [batch for batch in batches_of(job.seeds) if not set(missing).isdisjoint(batch)]

    def check() -> None:
        for one in checks:
            one()

    padded_to = largest_batch(image_set.seeds)
    for batch in sample_batches(order, batches, check=check, upcoming=upcoming, padded_to=padded_to):
        recorder.take(batch)
    note_loaded(image_set.diffusion_model)
    used, total = memory_in_use()
    note_work(model=image_set.diffusion_model.name, memory_used=used, memory_total=total)
    seconds = time.monotonic() - began
    logger.info("%s of %s in %.1f s (job %s)", counted(len(missing), "image"), image_set, seconds, job.pk)
