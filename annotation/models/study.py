"""A study, the versions of its manifest, its history, and its votes by hour."""

import secrets
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse

from generation.models.image_sets import DiffusionModel


def new_link_token() -> str:
    """A random token for a link: 128 bits, URL-safe."""
    return secrets.token_urlsafe(16)


class Study(models.Model):
    """Two diffusion models or more, a list of prompts, and the annotators who say which model is more consistent.

    The researcher's decisions are in the manifest (`ManifestVersion`); this row has only what queries need.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        GENERATING = "generating"
        SCORING = "scoring"
        READY = "ready"
        OPEN = "open"
        PAUSED = "paused"
        CLOSING = "closing"  # the voting has ended, and every annotator is judged for the last time; still sealed
        CLOSED = "closed"

    BEFORE_READY = (State.DRAFT, State.GENERATING, State.SCORING)  # images or scores may be missing
    BEFORE_OPENING = (*BEFORE_READY, State.READY)
    AT_REST = (State.DRAFT, State.CLOSED)  # nothing is due

    class Source(models.TextChoices):
        GENERATED = "generated"
        IMAGES = "images"
        EXTERNAL = "external"

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=Source)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    manifest_sha256 = models.CharField(max_length=64, help_text="The hash of the manifest version in force.")
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="The priority of its images and scores; the highest number goes first."
    )
    open_link_token = models.CharField(max_length=40, unique=True, default=new_link_token, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="studies"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    pilot_of = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="pilots",
        editable=False,
        help_text="The study that this one is a pilot of.",
    )
    archived_at = models.DateTimeField(null=True, blank=True, help_text="Since when the list of studies leaves it out.")
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True, help_text="When the voting ended.")
    erases_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When personal data is erased, set at the end of the voting."
    )
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the personal data of its annotators was erased."
    )

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "studies"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="study_closed_has_a_time",
                condition=Q(state__in=("closing", "closed"), closed_at__isnull=False)
                | (~Q(state__in=("closing", "closed")) & Q(closed_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The page of the study."""
        return reverse("study", args=[self.slug])

    @property
    def is_over(self) -> bool:
        """Whether the voting has ended for good."""
        return self.state in (self.State.CLOSING, self.State.CLOSED)

    @property
    def diffusion_models(self) -> list[DiffusionModel]:
        """The study's models, in the order of the study file. One query, unless they are prefetched."""
        return list(self.model_by_key.values())

    @property
    def model_by_key(self) -> dict[str, DiffusionModel]:
        """The study's models by their keys in the manifest, in the order of the study file."""
        return {row.key: row.diffusion_model for row in self.study_models.all()}


class StudyModels(models.Manager["StudyModel"]):
    """Reads each row with its diffusion model."""

    def get_queryset(self) -> "models.QuerySet[StudyModel]":
        """Return the rows with their diffusion models."""
        return super().get_queryset().select_related("diffusion_model")


class StudyModel(models.Model):
    """One of the models that a study compares. Comparisons name it by its key in the manifest."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="study_models")
    position = models.PositiveSmallIntegerField(help_text="The model's place in the study file, from 0.")
    key = models.CharField(max_length=50, help_text="The model's key in the manifest.")
    diffusion_model = models.ForeignKey("generation.DiffusionModel", on_delete=models.PROTECT, related_name="+")

    objects = StudyModels()

    class Meta:
        ordering = ("study_id", "position")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "position"], name="study_model_positions_are_unique"),
            models.UniqueConstraint(fields=["study", "key"], name="study_model_keys_are_unique"),
            models.UniqueConstraint(fields=["study", "diffusion_model"], name="study_compares_different_models"),
        ]

    def __str__(self) -> str:
        return str(self.diffusion_model)


class ManifestVersion(models.Model):
    """One version of a study's manifest. Version 1 is the design; each later one is an amendment."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="manifest_versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    sha256 = models.CharField(max_length=64)
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("study_id", "number")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "number"], name="manifest_version_numbers_are_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.study} manifest {self.number}"


class StudyEvent(models.Model):
    """An action on a study: who did it, when, and its effect. Append only."""

    # The key, in the detail of "generated", of the models whose images cannot be made again.
    NOT_REPRODUCIBLE = "not_reproducible"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="events")
    verb = models.CharField(max_length=50)
    detail = models.JSONField(default=dict)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    happened_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.study}: {self.verb}"


class VotesByHour(models.Model):
    """The number of a study's standing votes at the end of an hour; for the current hour, when they were counted last.

    The tick writes it from the counters of the comparisons: a vote writes nothing here. A withdrawal lowers later hours
    only, because the earlier ones say what was there.
    """

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="votes_by_hour")
    hour = models.DateTimeField(help_text="The beginning of the hour, in UTC.")
    vote_count = models.PositiveIntegerField()
    seen_at = models.DateTimeField(help_text="When the votes were counted last.")

    class Meta:
        ordering = ("study_id", "hour")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "hour"], name="one_count_of_votes_per_study_and_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.study_id} {self.hour:%Y-%m-%d %H}: {self.vote_count}"
