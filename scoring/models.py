"""The tables of scoring: encoders, embeddings of images, scores of image sets, and jobs."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from generation.models import GeneratedImage, ImageSet
from jobs.models import LeasedJob
from scoring.encoder_spec import MOST_METRIC_LENGTH


class Encoder(models.Model):
    """The hash of an encoder's weights when it was first used; other weights under its identity are refused."""

    identity = models.CharField(
        max_length=MOST_METRIC_LENGTH, unique=True, help_text="EncoderSpec.identity: kind, name, revision."
    )
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 over weights, configuration and preprocessing.")
    provenance = models.JSONField(default=dict, help_text="Processor, dtype, device and versions at first use.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="encoder_fingerprint_is_sha256", condition=Q(fingerprint__length=64)),
        ]

    def __str__(self) -> str:
        return self.identity


class ImageEmbedding(models.Model):
    """The embedding of one image by one encoder: float32, little-endian, not normalised."""

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


class ScoringJob(LeasedJob):
    """Embed one image set with one encoder and score it."""

    task_name = "scoring.tasks.run_scoring_job"

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="scoring_jobs")
    encoder = models.JSONField(help_text="The EncoderSpec: kind, checkpoint, revision.")
    metric = models.CharField(max_length=MOST_METRIC_LENGTH)

    class Meta(LeasedJob.Meta):
        abstract = False
        ordering = ("id",)
        constraints: ClassVar = [
            *LeasedJob.Meta.constraints,
            models.UniqueConstraint(fields=["image_set", "metric"], name="scoring_job_one_per_set_and_metric"),
        ]

    def __str__(self) -> str:
        return f"{self.image_set} by {self.metric}: {self.state}"

    @property
    def log_fields(self) -> dict[str, Any]:
        """Add the image set."""
        return super().log_fields | {"image_set": self.image_set_id}
