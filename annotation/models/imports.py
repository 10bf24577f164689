"""An import: a file of votes, scores or similarities that was imported into a study, and its rows."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


class Import(models.Model):
    """One imported file. Taking it back removes the rows that no other import brought too, and this row last.

    While it is UNFINISHED, some of its rows may be stored; until it is done there is no report and no export. Importing
    the same file again completes it. process: a random name of the process that works on it; another one that starts
    takes it over. removal: what its taking-back will say in the histories of which studies, noted before the first row
    is removed.
    """

    class Kind(models.TextChoices):
        VOTES = "votes"
        SCORES = "scores"
        SIMILARITIES = "similarities"

    class State(models.TextChoices):
        UNFINISHED = "unfinished"
        DONE = "done"

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.UNFINISHED)
    file_name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64, help_text="The SHA-256 of the file.")
    metric = models.CharField(
        max_length=255, blank=True, help_text="The name of the imported metric or similarities; empty for votes."
    )
    row_count = models.PositiveIntegerField(
        default=0, help_text="How many votes, scored comparisons or sets with similarities the file gave."
    )
    process = models.CharField(max_length=32, blank=True, editable=False)
    removal = models.JSONField(default=dict, editable=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    scores = models.ManyToManyField("scoring.SetScore", related_name="+", editable=False)
    similarities = models.ManyToManyField("scoring.PairwiseSimilarities", related_name="+", editable=False)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study"], condition=Q(state="unfinished"), name="one_unfinished_import_per_study"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.file_name}"


class ImportedAssignment(models.Model):
    """The import that an assignment first came from, and values of its file that no other column holds.

    left_seeds, right_seeds: in the order shown; the images themselves may be missing here.
    """

    assignment = models.OneToOneField(
        "annotation.Assignment", on_delete=models.CASCADE, primary_key=True, related_name="imported"
    )
    source = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="assignments")
    left_seeds = models.TextField(blank=True)
    right_seeds = models.TextField(blank=True)

    class Meta:
        ordering = ("assignment_id",)

    def __str__(self) -> str:
        return f"{self.assignment_id} from {self.source_id}"


class ImportedVote(models.Model):
    """A vote and an import whose file holds it; made only if several files hold votes of the same assignment."""

    vote = models.ForeignKey("annotation.Vote", on_delete=models.CASCADE, related_name="files")
    source = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="shared_votes")

    class Meta:
        ordering = ("pk",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["vote", "source"], name="one_row_per_vote_and_file"),
        ]

    def __str__(self) -> str:
        return f"{self.vote_id} in {self.source_id}"
