"""Sentences about a missing or busy worker."""

from datetime import datetime

from annotation.studies.lifecycle.progress import StudyProgress
from generation.models import GenerationJob
from generation.workers import SILENT_AFTER, served_queues
from jobs.models import LeasedJob
from scoring.models import ScoringJob

BY_QUEUE = {
    "gpu": "No worker is running that makes and scores images",
    "control": "No worker is running that moves studies on and makes reports",
}


def missing_worker(now: datetime) -> str:
    """Return a sentence with the command to type if a queue has no worker; else an empty text."""
    missing = [queue for queue in BY_QUEUE if queue not in _served(now)]
    if not missing:
        return ""
    if len(missing) == len(BY_QUEUE):
        return "No worker is running: start one with `manage.py worker`."
    return f"{BY_QUEUE[missing[0]]}: start one with `manage.py worker --queues {missing[0]}`."


def waits_for(counts: StudyProgress, now: datetime) -> str:
    """Return why no job of a study runs although jobs wait; empty if one runs or none waits."""
    if not counts.waiting_job_count or counts.running_job_count:
        return ""
    return missing_worker(now) or ("The worker is busy with another study; this one follows." if _is_busy() else "")


def _served(now: datetime) -> set[str]:
    queues = served_queues(now)
    # If its database is slow, a worker may be late with its own sign of life although its job's heartbeat arrives.
    running = {"state": LeasedJob.State.RUNNING, "heartbeat_at__gte": now - SILENT_AFTER}
    if "gpu" not in queues and any(model.objects.filter(**running).exists() for model in (GenerationJob, ScoringJob)):
        queues.add("gpu")
    return queues


def _is_busy() -> bool:
    return any(model.objects.filter(state=LeasedJob.State.RUNNING).exists() for model in (GenerationJob, ScoringJob))
