"""Make the images of a job: the seeds that lack one, batch by batch, each recorded as soon as it exists."""

from generation.image_sets import image_path, missing_seeds, record_image
from generation.models import GenerationJob
from generation.parameters import SamplingParameters
from generation.pictures import renditions
from generation.pictures.files import media
from generation.sampling import Order, sample
from jobs.leases import Lease
from jobs.whole_files import sweep


def make_images(job: GenerationJob, lease: Lease) -> None:
    """Sample and record what the job's seeds lack. Raises Refused, LeaseLost or Cancelled."""
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
