"""Jobs that a person waits for: they compute a report, and write the downloads that take long."""

from typing import ClassVar

from django.db import models

from jobs.models import LeasedJob


class WatchedJob(LeasedJob):
    """A job that a person waits for. percent, step: its progress."""

    percent = models.PositiveSmallIntegerField(default=0)
    step = models.CharField(max_length=100, blank=True)

    class Meta(LeasedJob.Meta):
        abstract = True
        ordering = ("id",)

    @property
    def is_waiting(self) -> bool:
        """Whether it will end without another request."""
        return self.state in (self.State.QUEUED, self.State.RUNNING)


class ReportJob(WatchedJob):
    """The job that computes a study's report by a metric, or that of one pair of its models.

    `reports.report_jobs.report_jobs` says when it is due again. pair: the keys of two models, joined by a comma; empty:
    the whole study. stamp: hash of the study's counts and states when the latest report was requested. sha256: of
    everything that went into the finished report, which is also the name of its file; empty before the first report,
    and kept while the next one is computed. result: of a closed study, what its report found, in one sentence for the
    list of studies; result_votes: the standing votes that it rests on.
    """

    task_name = "annotation.tasks.make_report"

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="report_jobs")
    metric = models.CharField(max_length=300)
    pair = models.CharField(max_length=101, blank=True, default="")
    stamp = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64, blank=True)
    result = models.TextField(blank=True, default="")
    result_votes = models.PositiveIntegerField(default=0)

    class Meta(WatchedJob.Meta):
        constraints: ClassVar = [
            *WatchedJob.Meta.constraints,
            models.UniqueConstraint(
                fields=["study", "metric", "pair"], name="one_report_job_per_study_metric_and_pair"
            ),
        ]

    def __str__(self) -> str:
        return f"report of {self.study_id} by {self.metric}: {self.state}"


class ReportFileJob(WatchedJob):
    """The job that writes a download of a report. `reports.report_jobs.downloads` says when it is due again.

    name: which download. key: of the stored file, see `downloads`; empty before the first one.
    """

    task_name = "annotation.tasks.make_report_file"

    report_job = models.ForeignKey(ReportJob, on_delete=models.CASCADE, related_name="file_jobs")
    name = models.CharField(max_length=20)
    key = models.CharField(max_length=64, blank=True)

    class Meta(WatchedJob.Meta):
        constraints: ClassVar = [
            *WatchedJob.Meta.constraints,
            models.UniqueConstraint(fields=["report_job", "name"], name="one_file_job_per_report_and_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.report_job}: {self.state}"


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


class ReplayBundle(models.Model):
    """The hashes of a replay bundle that was made, so that the next one can name it. Append only.

    The file itself is not stored. sha256: of its index, which is published. contents_sha256: of the list of its members
    alone, so that equal contents are recognised. replaces: the sha256 of the bundle before; empty for the first.
    """

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="replay_bundles")
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
