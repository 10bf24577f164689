"""Celery tasks of generation: thin, all on the gpu queue."""

from celery import shared_task

from generation.image_sets import image_path, missing_seeds, record_image
from generation.models import GenerationJob
from generation.parameters import SamplingParameters
from generation.pictures import renditions
from generation.pictures.files import media
from jobs.claims import work
from jobs.leases import Lease
from jobs.whole_files import sweep


@shared_task
def run_generation_job(job_id: int) -> None:
    """Make the missing images of a job. Running it twice, or again after a crash, gives the same images."""
    work(GenerationJob, job_id, _make_images)


def _make_images(job: GenerationJob, lease: Lease) -> None:
    """Sample the missing seeds of a job batch by batch, and record each image as soon as it exists."""
    # Imported here, so that only a worker that makes images loads torch. The job is claimed before: the import takes
    # seconds, and the job counts as running meanwhile.
    from generation.sampling import Order, sample

    image_set = job.image_set
    for image in image_set.images.filter(seed__in=job.seeds):
        renditions.mend(image)
    missing = [seed for seed in missing_seeds(image_set) if seed in job.seeds]
    for seed in missing:
        sweep(media(image_path(image_set.uid, seed)))
    if not missing:
        return
    order = Order(
        diffusion_model=image_set.diffusion_model,
        prompt=image_set.rendered_prompt,
        parameters=SamplingParameters(**image_set.parameters),
    )
    for sampled in sample(order, missing, check=lease.check):
        record_image(
            image_set=image_set, seed=sampled.seed, image=sampled.image, provenance=sampled.provenance, job=job
        )
