"""Jobs that write the downloads of a study that need no report."""

from typing import ClassVar

from django.db import models

from annotation.models.report_job import WatchedJob


class StudyFileJob(WatchedJob):
    """The job that writes all images of a study as one zip file.

    key: of the stored file; empty before the first one.
    """

    task_name = "annotation.tasks.make_study_file"

    study = models.OneToOneField("annotation.Study", on_delete=models.CASCADE, related_name="images_file_job")
    key = models.CharField(max_length=64, blank=True)

    class Meta(WatchedJob.Meta):
        constraints: ClassVar = [*WatchedJob.Meta.constraints]

    def __str__(self) -> str:
        return f"images of {self.study_id}: {self.state}"
