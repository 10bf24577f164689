"""Files that a researcher sends to a study in pieces, and the jobs that import them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.report_job import WatchedJob


class Upload(models.Model):
    """Files on their way into a study. Their pieces lie in a folder of `settings.UPLOADS_ROOT`, named by `folder`.

    files: the path, bytes, sha256 and modified of each, as the sender described them. files_sha256: of that list;
    a sender who comes again finds the upload by it. is_received: every piece is there, and an UploadJob exists.
    is_stored: its folder exists; it counts against the account's quota. options: of the importer, by name.
    """

    class Kind(models.TextChoices):
        IMAGES = "images", "Images"
        VOTES = "votes", "Votes"
        SCORES = "scores", "Scores"

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="uploads")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="uploads")
    kind = models.CharField(max_length=6, choices=Kind)
    folder = models.CharField(max_length=32, unique=True)
    files = models.JSONField(default=list)
    files_sha256 = models.CharField(max_length=64)
    byte_count = models.PositiveBigIntegerField()
    options = models.JSONField(default=dict)
    is_received = models.BooleanField(default=False)
    is_stored = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study", "account", "files_sha256"],
                condition=Q(is_received=False, is_stored=True),
                name="one_upload_of_the_same_files_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.study_id}: {self.name}"

    @property
    def name(self) -> str:
        """The file's name, or the number of files."""
        return str(self.files[0]["path"]) if len(self.files) == 1 else f"{len(self.files)} files"


class UploadJob(WatchedJob):
    """The job that imports the files of an upload.

    position: how many image sets are done; the job leaves the worker between two of them, so that others get their
    turn. outcome: `summary` in a sentence, and `faults`, one for each file that was left out.
    """

    task_name = "annotation.tasks.import_upload"

    upload = models.OneToOneField(Upload, on_delete=models.CASCADE, related_name="job")
    position = models.PositiveIntegerField(default=0)
    outcome = models.JSONField(default=dict)

    class Meta(WatchedJob.Meta):
        pass

    def __str__(self) -> str:
        return f"import of {self.upload_id}: {self.state}"
