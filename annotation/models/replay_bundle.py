"""A replay bundle that was made: so that the next one can name it."""

from typing import ClassVar

from django.db import models

from annotation.models.study import Study


class ReplayBundle(models.Model):
    """The hashes of one bundle of a study; the file itself is with whoever made it. Append only.

    sha256: of its index, which is published. contents_sha256: of the list of its members alone, so that the same
    contents are known again. replaces: the index's hash of the bundle before, empty for the first.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="replay_bundles")
    metric = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    contents_sha256 = models.CharField(max_length=64)
    replaces = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "sha256"], name="one_record_per_replay_bundle"),
        ]

    def __str__(self) -> str:
        return f"{self.study} bundle {self.sha256[:12]}"
