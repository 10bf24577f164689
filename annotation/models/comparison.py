"""A comparison: one prompt, the set of images on side A and the set on side B, of two different models."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Abs


class Comparison(models.Model):
    """The unit of analysis.

    model_a, model_b: the models of its two sides. In a study of two models, side A is the first one of the study file.
    "A" and "B" are sides: in a study of several models, a model is side A of some comparisons and side B of others.
    slot_count: leased main assignments plus standing main votes; overlap: how many there may be. vote_count: the
    standing main votes among them; votes_a, votes_b, votes_tie: those that count for the winner. They change, like
    left_lead and lead, in the transaction that changes the assignment or the vote, so that no page counts votes.
    decided_at: since when no further vote can change the winner, so that no more are collected; emptied if a vote can
    change it again.
    """

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="comparisons")
    position = models.PositiveIntegerField(help_text="The comparison's place in the manifest, from 0.")
    prompt = models.ForeignKey("generation.Prompt", on_delete=models.PROTECT, related_name="+")
    model_a = models.CharField(max_length=50, default="a", help_text="The manifest's key of the model on side A.")
    model_b = models.CharField(max_length=50, default="b", help_text="The manifest's key of the model on side B.")
    cluster = models.CharField(max_length=64, help_text="Comparisons that share a base prompt share a cluster.")
    image_set_a = models.ForeignKey("generation.ImageSet", on_delete=models.PROTECT, related_name="+")
    image_set_b = models.ForeignKey("generation.ImageSet", on_delete=models.PROTECT, related_name="+")
    overlap = models.PositiveIntegerField()
    slot_count = models.PositiveIntegerField(default=0)
    vote_count = models.PositiveIntegerField(default=0)
    votes_a = models.PositiveIntegerField(default=0, help_text="Counted votes for side A.")
    votes_b = models.PositiveIntegerField(default=0, help_text="Counted votes for side B.")
    votes_tie = models.PositiveIntegerField(default=0, help_text="Counted votes for neither.")
    left_lead = models.IntegerField(
        default=0, help_text="Main assignments with side A on the left, minus those with side B."
    )
    lead = models.IntegerField(
        null=True,
        blank=True,
        help_text="Counted votes for A minus those for B; null if no rule of the study uses the margin.",
    )
    decided_at = models.DateTimeField(
        null=True, blank=True, help_text="When it closed early, with fewer votes than the overlap."
    )
    turn = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="The place of its cluster in the drawn order, from 0; null unless the study stops when decided.",
    )
    parked_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was set aside after reports of failed or offensive images."
    )

    class Meta:
        ordering = ("study_id", "position")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "position"], name="comparison_positions_are_unique"),
            models.UniqueConstraint(
                fields=["study", "prompt", "model_a", "model_b"], name="one_comparison_per_study_prompt_and_pair"
            ),
            models.CheckConstraint(name="comparison_models_differ", condition=~Q(model_a=F("model_b"))),
            models.CheckConstraint(name="comparison_slots_within_overlap", condition=Q(slot_count__lte=F("overlap"))),
            models.CheckConstraint(name="comparison_votes_within_slots", condition=Q(vote_count__lte=F("slot_count"))),
            models.CheckConstraint(
                name="comparison_decided_by_a_lead",
                condition=Q(decided_at__isnull=True) | Q(lead__isnull=False, overlap__lt=Abs("lead") + F("vote_count")),
            ),
            models.CheckConstraint(name="comparison_sets_differ", condition=~Q(image_set_a=F("image_set_b"))),
        ]
        indexes: ClassVar = [
            # Only what can still be given out, and only what still wants votes: finding either costs the
            # same however many comparisons are full.
            models.Index(
                fields=["study", "slot_count", "position"],
                condition=Q(slot_count__lt=F("overlap"), parked_at__isnull=True, decided_at__isnull=True),
                name="comparison_free",
            ),
            models.Index(
                fields=["study", "turn", "position"],
                condition=Q(
                    slot_count__lt=F("overlap"), parked_at__isnull=True, decided_at__isnull=True, turn__isnull=False
                ),
                name="comparison_free_by_turn",
            ),
            models.Index(
                "study",
                Abs("lead"),
                "slot_count",
                "position",
                condition=Q(
                    slot_count__lt=F("overlap"), parked_at__isnull=True, decided_at__isnull=True, lead__isnull=False
                ),
                name="comparison_free_by_margin",
            ),
            models.Index(
                fields=["study"],
                condition=Q(vote_count__lt=F("overlap"), parked_at__isnull=True, decided_at__isnull=True),
                name="comparison_unfinished",
            ),
            # For the half-minute tick, which looks at every study.
            models.Index(fields=["study", "overlap"], name="comparison_least_overlap"),
            models.Index(
                fields=["study"],
                condition=Q(
                    vote_count__lt=F("overlap"),
                    parked_at__isnull=True,
                    decided_at__isnull=True,
                    overlap__lt=Abs("lead") + F("vote_count"),
                ),
                name="comparison_maybe_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study} {self.position + 1}"
