"""The jobs of generation: images of a set to make, and a model to try."""

from typing import Any, ClassVar

from django.db import models

from generation.models.image_sets import DiffusionModel, ImageSet
from jobs.models import LeasedJob

ENDPOINT_TASK = "generation.tasks.run_endpoint_job"


class GenerationJob(LeasedJob):
    """One prompt, one model, a chunk of seeds."""

    task_name = "generation.tasks.run_generation_job"

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="jobs")
    chunk = models.PositiveIntegerField(help_text="Which chunk of the set's seeds, from 0.")
    seeds = models.JSONField()

    class Meta(LeasedJob.Meta):
        abstract = False
        # Ordered by model, so that a worker does not load a checkpoint again for each job.
        ordering = ("image_set__diffusion_model_id", "id")
        constraints: ClassVar = [
            *LeasedJob.Meta.constraints,
            models.UniqueConstraint(fields=["image_set", "chunk"], name="generation_job_one_per_chunk"),
        ]

    def __str__(self) -> str:
        return f"images, job {self.pk}: {self.state}"  # without the set: the admin shows this, also when sealed

    @property
    def message_name(self) -> str:
        """The task of the queue that this job's model is for: endpoints need no device."""
        return ENDPOINT_TASK if self.image_set.diffusion_model.endpoint else self.task_name

    @property
    def log_fields(self) -> dict[str, Any]:
        """Add the image set."""
        return super().log_fields | {"image_set": self.image_set_id}


class ModelTrial(LeasedJob):
    """One image of a model, made on a worker before a study is launched, with what it cost.

    `fingerprint` is the hash of the model's settings, the sampling parameters and the product's version.
    """

    task_name = "generation.tasks.run_model_trial"

    diffusion_model = models.ForeignKey(DiffusionModel, on_delete=models.CASCADE, related_name="trials")
    prompt = models.TextField(help_text="The prompt as the model receives it.")
    parameters = models.JSONField(help_text="The sampling parameters.")
    fingerprint = models.CharField(max_length=64, unique=True)
    outcome = models.JSONField(default=dict, blank=True, help_text="Dtype, seconds, memory, size; empty until done.")

    class Meta(LeasedJob.Meta):
        abstract = False
        ordering = ("id",)

    def __str__(self) -> str:
        return f"trial of {self.diffusion_model}: {self.state}"
