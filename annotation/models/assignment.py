"""An assignment, the votes on it, and reports of its images."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone


class Assignment(models.Model):
    """One comparison as one annotator was shown it: stored, never computed again.

    Kind main is the comparison itself. Repeat, ladder and instructed are checks, given out among the comparisons and
    counted apart (see `voting.checks`); practice comes before them. A main assignment holds a slot of its comparison
    while it is `leased` or `voted`. A `released` row keeps its sides, for when it is leased again. `late`: answered
    when its slot was taken. `reported`: given back for an image that failed or offends, and never given to this
    annotator again.
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

    ANSWERED: ClassVar = (State.VOTED, State.LATE)

    class Side(models.TextChoices):
        A = "a"
        B = "b"

    comparison = models.ForeignKey("annotation.Comparison", on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(
        "annotation.Annotator", on_delete=models.CASCADE, related_name="assignments", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.MAIN)
    occurrence = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State)
    left_model = models.CharField(max_length=1, choices=Side, help_text="The model whose set was on the left.")
    are_sides_known = models.BooleanField(
        default=True,
        help_text="Whether the sides are known; if not (some imported votes), left_model is only a convention.",
    )
    left_images = models.JSONField(default=list, help_text="Image ids in the order shown.")
    right_images = models.JSONField(default=list)
    known_choice = models.CharField(
        max_length=5, blank=True, help_text="The choice that is right by construction; empty if there is none."
    )
    replaced_count = models.PositiveSmallIntegerField(
        default=0, help_text="How many images of the other side belong to other prompts, in a pair of known order."
    )
    rendition = models.CharField(max_length=20, blank=True, help_text="The size of the images in the grid.")
    is_ahead = models.BooleanField(
        default=False, help_text="Fetched ahead by the page under a short lease; the annotator has not seen it yet."
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
            # In place of the foreign key's own. PostgreSQL looked for a person's newest assignment by reading all
            # assignments backwards: 58 s for fifty people in a million. SQLite's indexes hold the id anyway.
            models.Index(fields=["annotator", "id"], name="assignment_newest_of_annotator"),
        ]

    def __str__(self) -> str:
        return f"{self.comparison} for {self.annotator}: {self.state}"


def chosen_model(choice: str, left_model: str) -> str:
    """The model, a or b, whose set was chosen; empty for a tie."""
    if choice == Vote.Choice.TIE:
        return ""
    is_a = (choice == Vote.Choice.LEFT) == (left_model == Assignment.Side.A)
    return Assignment.Side.A.value if is_a else Assignment.Side.B.value


# The order in which votes were given; votes of one moment have no other.
IN_ORDER = (Coalesce("ordered_at", "received_at"), "pk")


class Vote(models.Model):
    """One answer to one assignment. Never edited; undoing supersedes it, withdrawing deletes it."""

    class Choice(models.TextChoices):
        LEFT = "left"
        RIGHT = "right"
        TIE = "tie"

    class State(models.TextChoices):
        STANDING = "standing"
        SUPERSEDED = "superseded"  # undone by the annotator
        LATE = "late"  # came after its slot was taken: stored, acknowledged, not counted

    id = models.UUIDField(
        primary_key=True,
        default=uuid.uuid4,
        help_text="Created by the client that casts the vote; votes of one id count once.",
    )
    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="votes")
    choice = models.CharField(max_length=5, choices=Choice)
    state = models.CharField(max_length=10, choices=State, default=State.STANDING)
    shown_at = models.DateTimeField(
        null=True, blank=True, help_text="When every image had been painted, by the browser's clock."
    )
    voted_at = models.DateTimeField(
        null=True, blank=True, help_text="When the annotator chose, by the browser's clock."
    )
    received_at = models.DateTimeField(default=timezone.now)
    ordered_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Orders an imported vote among the others, made different by microseconds; null: by received_at.",
    )
    response_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Milliseconds from painted to chosen.")
    excluded_at = models.DateTimeField(null=True, blank=True)
    exclusion_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = IN_ORDER
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

    @property
    def chosen_model(self) -> str:
        """The model, a or b, whose set was chosen; empty for a tie."""
        return chosen_model(self.choice, self.assignment.left_model)


class ImageReport(models.Model):
    """An annotator could not see an image, or found it offensive. Reports of three annotators set a comparison aside.

    settled_at: when the researcher decided, either way. A settled report no longer sets a comparison aside.
    """

    class Kind(models.TextChoices):
        FAILED = "failed"  # it could not be loaded
        OFFENSIVE = "offensive"

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="image_reports")
    image = models.ForeignKey("generation.GeneratedImage", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=9, choices=Kind)
    reported_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("reported_at", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["assignment", "image", "kind"], name="one_report_of_an_image_and_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.image_id} {self.kind}"

    @classmethod
    def of_study(cls, study_id: int) -> "models.QuerySet[ImageReport]":
        """Return all image reports of a study.

        The subquery makes the database begin at the reports, which are few; with a join SQLite begins at the study and
        reads all of its assignments.
        """
        own = Assignment.objects.filter(pk=OuterRef("assignment"), comparison__study=study_id)
        return cls.objects.filter(Exists(own))
