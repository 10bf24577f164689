"""A vote: which side the annotator called more consistent."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.assignment import Assignment


class Vote(models.Model):
    """One answer to one assignment. Never edited; undoing supersedes it, withdrawing deletes it."""

    class Choice(models.TextChoices):
        LEFT = "left"
        RIGHT = "right"
        TIE = "tie"

    class State(models.TextChoices):
        STANDING = "standing"
        SUPERSEDED = "superseded"  # undone by the annotator
        LATE = "late"  # came when its slot was taken: kept, acknowledged, not counted

    id = models.UUIDField(
        primary_key=True, default=uuid.uuid4, help_text="Made by whoever casts it; the same id counts once."
    )
    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="votes")
    choice = models.CharField(max_length=5, choices=Choice)
    state = models.CharField(max_length=10, choices=State, default=State.STANDING)
    shown_at = models.DateTimeField(
        null=True, blank=True, help_text="When every image had been painted, by the browser."
    )
    voted_at = models.DateTimeField(null=True, blank=True, help_text="When the annotator chose, by the browser.")
    received_at = models.DateTimeField(default=timezone.now)
    response_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="From painted to chosen, in milliseconds."
    )
    excluded_at = models.DateTimeField(null=True, blank=True)
    exclusion_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("received_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["assignment"], condition=Q(state="standing"), name="one_standing_vote_per_assignment"
            ),
            models.CheckConstraint(
                name="vote_exclusion_has_a_reason",
                condition=Q(excluded_at__isnull=True, exclusion_reason="")
                | (Q(excluded_at__isnull=False) & ~Q(exclusion_reason="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.choice} on {self.assignment_id}"
