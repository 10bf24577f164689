"""An image report: an annotator could not see an image, or found it offensive."""

from typing import ClassVar

from django.db import models

from annotation.models.assignment import Assignment
from generation.models import GeneratedImage


class ImageReport(models.Model):
    """Which image of which assignment, why and when. Reports of three annotators park a comparison.

    `settled_at`: when the researcher decided, either way; a settled report parks nothing any more.
    """

    class Kind(models.TextChoices):
        FAILED = "failed"  # it could not be loaded
        OFFENSIVE = "offensive"

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="image_reports")
    image = models.ForeignKey(GeneratedImage, on_delete=models.PROTECT, related_name="+")
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
