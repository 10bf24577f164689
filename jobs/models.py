"""The abstract model of a job. Generation, scoring and annotation derive their job tables from it."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q


def job_name(task_name: str, job_id: int) -> str:
    """Return the name of a job in the log.

    >>> job_name("generation.tasks.run_generation_job", 12)
    'generation_job 12'
    """
    return f"{task_name.rpartition('.')[2].removeprefix('run_')} {job_id}"


class LeasedJob(models.Model):
    """A job and its state. The row is the truth; a queue message says only that there is work."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    task_name: ClassVar[str]  # the Celery task that runs the next job of this kind

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    attempt_count = models.PositiveIntegerField(default=0)
    claimed_by = models.CharField(max_length=200, blank=True, help_text="The claim: host, process and a random part.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    failed_on = models.CharField(
        max_length=100, blank=True, help_text="The device that failed during this job; another device tries it next."
    )
    is_cancel_requested = models.BooleanField(default=False)
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="A worker takes the job with the highest number first."
    )
    not_before = models.DateTimeField(null=True, blank=True, help_text="Not claimed before this time.")
    error = models.TextField(blank=True)
    enqueued_at = models.DateTimeField(null=True, blank=True, help_text="When a message about this job was last sent.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    @property
    def message_name(self) -> str:
        """The Celery task that a message on behalf of this job names."""
        return self.task_name

    @property
    def subject(self) -> str:
        """The work in a sentence about its failure."""
        return job_name(self.task_name, self.pk)

    @property
    def log_fields(self) -> dict[str, Any]:
        """The fields of each log line that is written while the job runs."""
        return {"job": job_name(self.task_name, self.pk)}

    class Meta:
        abstract = True
        constraints: ClassVar = [
            models.CheckConstraint(
                name="%(class)s_lease_only_while_running",
                condition=Q(state="running", lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(lease_expires_at__isnull=True)),
            ),
            models.CheckConstraint(name="%(class)s_failed_says_why", condition=~Q(state="failed") | ~Q(error="")),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "lease_expires_at"], name="%(class)s_state"),
            models.Index(fields=["state", "-priority", "id"], name="%(class)s_next"),  # the order of claiming
            models.Index(fields=["finished_at"], name="%(class)s_finished"),  # what a worker did lately
        ]
