"""Celery tasks of generation: thin, all on the gpu queue."""

from celery import shared_task

from generation.models import GenerationJob
from jobs.claims import work
from jobs.leases import Lease


@shared_task
def run_generation_job(job_id: int) -> None:
    """Make the images that a job's seeds lack. Running it twice, half, or for a settled job comes to the same."""
    work(GenerationJob, job_id, _make_images)


def _make_images(job: GenerationJob, lease: Lease) -> None:
    # Here, so that only a worker that makes images loads torch, and under the claim: loading takes a while, in
    # which the job already counts as taken.
    from generation.making import make_images

    make_images(job, lease)
