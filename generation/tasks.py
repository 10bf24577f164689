"""Celery tasks of generation: thin, all on the gpu queue."""

from celery import shared_task

from generation.jobs import work
from generation.models import GenerationJob


@shared_task
def run_generation_job(job_id: int) -> None:
    """Make the images that a job's seeds lack. Running it twice, half, or for a settled job comes to the same."""
    from generation.making import make_images  # here, so that only a worker that makes images loads torch

    work(GenerationJob, job_id, make_images)
