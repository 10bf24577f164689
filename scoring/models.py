"""The tables of scoring: encoders, embeddings of images, scores of image sets, and jobs."""

from typing import Any, ClassVar

import numpy as np
from django.db import models
from django.db.models import Q

from generation.models import GeneratedImage, ImageSet
from jobs.models import LeasedJob
from scoring.encoder_spec import MOST_METRIC_LENGTH, ComparerSpec, EncoderSpec, source_of
from scoring.metric_spec import LARGEST_SCORE


class Encoder(models.Model):
    """The hash of an encoder's weights when it was first used; other weights under its identity are refused."""

    identity = models.CharField(
        max_length=MOST_METRIC_LENGTH, unique=True, help_text="EncoderSpec.identity: kind, name, revision."
    )
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 over weights, configuration and preprocessing.")
    provenance = models.JSONField(default=dict, help_text="Processor, dtype, device and versions at first use.")
    timed_images = models.PositiveIntegerField(default=0, help_text="Images whose embedding was timed.")
    timed_seconds = models.FloatField(default=0.0, help_text="The time that they took, with reading and preparing.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="encoder_fingerprint_is_sha256", condition=Q(fingerprint__length=64)),
        ]

    def __str__(self) -> str:
        return self.identity


class ImageEmbedding(models.Model):
    """The embedding of one image by one encoder: float32, little-endian, not normalised."""

    STORED_TYPE: ClassVar[np.dtype[np.float32]] = np.dtype("<f4")  # the same bytes on every machine

    image = models.ForeignKey(GeneratedImage, on_delete=models.CASCADE, related_name="embeddings")
    encoder = models.ForeignKey(
        Encoder, to_field="identity", db_column="encoder", on_delete=models.PROTECT, related_name="embeddings"
    )
    dimension = models.PositiveIntegerField()
    vector = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image", "encoder"], name="one_embedding_per_image_and_encoder"),
        ]

    def __str__(self) -> str:
        return f"{self.image} by {self.encoder_id}"


class SetScore(models.Model):
    """The score of one image set by one metric."""

    # Databases of version 0.2 may hold other numbers, which would make every statistic undefined.
    USABLE: ClassVar[Q] = Q(value__range=(-LARGEST_SCORE, LARGEST_SCORE))

    class Source(models.TextChoices):
        COMPUTED = "computed"
        IMPORTED = "imported"

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="scores")
    metric = models.CharField(
        max_length=MOST_METRIC_LENGTH, help_text="The metric's identity; for SCS it holds the encoder's."
    )
    value = models.FloatField()
    image_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many images the score rests on, if known."
    )
    source = models.CharField(max_length=10, choices=Source)
    higher_is_more_consistent = models.BooleanField(
        default=True, help_text="Which way the metric points; scores of before version 0.3 were read as higher."
    )
    seconds = models.FloatField(
        null=True, blank=True, help_text="How long the metric took, without the embeddings; null if imported."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image_set", "metric"], name="one_score_per_set_and_metric"),
            models.CheckConstraint(
                name="computed_score_rests_on_images",
                # NULL >= 2 is unknown, and a CHECK accepts unknown, so NULL is excluded explicitly.
                condition=~Q(source="computed") | Q(image_count__isnull=False, image_count__gte=2),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["metric"], name="set_score_metric")]

    def __str__(self) -> str:
        return f"{self.image_set}: {self.value:.3f} by {self.metric}"


class MetricSource(models.Model):
    """The hash of the source of a metric of one's own when it was first used; another one is refused under its name."""

    name = models.CharField(max_length=MOST_METRIC_LENGTH, unique=True)
    sha256 = models.CharField(max_length=64, help_text="SHA-256 of the file that holds the function.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="metric_source_is_sha256", condition=Q(sha256__length=64)),
        ]

    def __str__(self) -> str:
        return self.name


class PairwiseSimilarities(models.Model):
    """The similarities or distances of every two images of a set, computed elsewhere: float64, little-endian, N x N."""

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="similarities")
    name = models.CharField(max_length=100, help_text="What measured them, like lpips.")
    seeds = models.JSONField(help_text="The seeds of the images, ascending: the rows and columns.")
    values = models.BinaryField()
    are_distances = models.BooleanField()
    bandwidth = models.FloatField(
        null=True, blank=True, help_text="h of the kernel exp(-d^2/h^2) that turns distances into similarities."
    )
    file_sha256 = models.CharField(max_length=64, help_text="SHA-256 of the imported file.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image_set", "name"], name="one_matrix_per_set_and_name"),
            models.CheckConstraint(
                name="bandwidth_is_of_distances", condition=Q(bandwidth__isnull=True) | Q(are_distances=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.image_set}"


class ScoringJob(LeasedJob):
    """Score one image set by one metric; embed it first if the metric needs embeddings."""

    task_name = "scoring.tasks.run_scoring_job"

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="scoring_jobs")
    encoder = models.JSONField(
        null=True, help_text="The EncoderSpec: kind, checkpoint, revision; null for a metric of the images themselves."
    )
    metric = models.CharField(max_length=MOST_METRIC_LENGTH)

    class Meta(LeasedJob.Meta):
        abstract = False
        ordering = ("id",)
        constraints: ClassVar = [
            *LeasedJob.Meta.constraints,
            models.UniqueConstraint(fields=["image_set", "metric"], name="scoring_job_one_per_set_and_metric"),
        ]

    def __str__(self) -> str:
        return f"{self.metric}, job {self.pk}: {self.state}"  # without the set: the admin shows this, also when sealed

    @property
    def source(self) -> EncoderSpec | ComparerSpec | None:
        """The encoder that embeds the set, or what compares its images; None if the metric needs neither."""
        return source_of(self.encoder)

    @property
    def subject(self) -> str:
        """The metric, whose code may be one's own."""
        return f"The metric {self.metric}"

    @property
    def log_fields(self) -> dict[str, Any]:
        """Add the image set."""
        return super().log_fields | {"image_set": self.image_set_id}
