"""An assignment: a comparison given to an annotator, with the sides and orders it was shown in."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from annotation.models.annotator import Annotator
from annotation.models.comparison import Comparison


class Assignment(models.Model):
    """What one annotator was shown for one comparison. Stored, never recomputed.

    Kind main is the comparison itself. Repeat, ladder and instructed are checks, given out among the comparisons
    and counted apart (see `voting.checks`); practice comes before them.
    It holds a slot of its comparison while `leased` or `voted` (kind main only). A `released` row
    keeps its sides: leasing it again reopens it as it was. `late`: answered when its slot was taken.
    `reported`: given back for an image that failed or offends, and not given to this annotator again.
    """

    class Kind(models.TextChoices):
        MAIN = "main"
        REPEAT = "repeat"
        LADDER = "ladder"
        INSTRUCTED = "instructed"
        PRACTICE = "practice"

    # Given out among the comparisons, which they look like.
    CHECKS: ClassVar = (Kind.REPEAT, Kind.LADDER, Kind.INSTRUCTED)

    class State(models.TextChoices):
        LEASED = "leased"
        VOTED = "voted"
        RELEASED = "released"
        LATE = "late"
        REPORTED = "reported"

    class Side(models.TextChoices):
        A = "a"
        B = "b"

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="assignments")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.MAIN)
    occurrence = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State)
    left_model = models.CharField(max_length=1, choices=Side, help_text="The model whose set stood on the left.")
    are_sides_known = models.BooleanField(
        default=True, help_text="False for imported votes that do not say; left_model is then only a convention."
    )
    left_images = models.JSONField(default=list, help_text="Image ids in the order shown.")
    right_images = models.JSONField(default=list)
    known_choice = models.CharField(
        max_length=5, blank=True, help_text="The choice that is right by construction; empty where none is."
    )
    replaced_count = models.PositiveSmallIntegerField(
        default=0, help_text="Images of the other side that belong to other prompts, in a pair of known order."
    )
    rendition = models.CharField(max_length=20, blank=True, help_text="Which size of image the grid showed.")
    is_ahead = models.BooleanField(
        default=False, help_text="Fetched by the page, held by a short lease, not seen by anybody yet."
    )
    leased_at = models.DateTimeField(help_text="When the comparison was given to the annotator's browser.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    shown_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["comparison", "annotator", "kind", "occurrence"], name="one_assignment_per_occurrence"
            ),
            models.UniqueConstraint(
                fields=["annotator"],
                condition=Q(state="leased", is_ahead=False),
                name="one_comparison_on_the_screen",
            ),
            models.CheckConstraint(
                name="assignment_ahead_only_while_leased", condition=Q(is_ahead=False) | Q(state="leased")
            ),
            models.CheckConstraint(
                name="assignment_lease_only_while_leased",
                condition=Q(state="leased", lease_expires_at__isnull=False)
                | (~Q(state="leased") & Q(lease_expires_at__isnull=True)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["lease_expires_at"], condition=Q(state="leased"), name="assignment_live_leases"),
            # With the kind, so that an annotator's votes are counted in the index alone.
            models.Index(fields=["annotator", "state", "kind"], name="assignment_of_annotator"),
        ]

    def __str__(self) -> str:
        return f"{self.comparison} for {self.annotator}: {self.state}"
