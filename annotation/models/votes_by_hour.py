"""The votes of a study by hour, for the drawing of its overview."""

from typing import ClassVar

from django.db import models


class VotesByHour(models.Model):
    """The standing votes of a study at the end of an hour, or at the last look in the hour that goes on.

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
