"""Sentences about a worker that is missing or busy."""

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
    """A sentence if a queue has no worker, with the command to type; empty where each has one."""
    missing = [queue for queue in BY_QUEUE if queue not in _served(now)]
    if not missing:
        return ""
    if len(missing) == len(BY_QUEUE):
        return "No worker is running: start one with `manage.py worker`."
    return f"{BY_QUEUE[missing[0]]}: start one with `manage.py worker --queues {missing[0]}`."


def waits_for(counts: StudyProgress, now: datetime) -> str:
    """Why nothing of a study is being made at the moment although jobs wait; empty where something is."""
    if not counts.waiting_job_count or counts.running_job_count:
        return ""
    return missing_worker(now) or ("The worker is busy with another study; this one follows." if _is_busy() else "")


def _served(now: datetime) -> set[str]:
    queues = served_queues(now)
    # A worker whose database is slow may be late with its own sign, while its job's heartbeat gets through.
    running = {"state": LeasedJob.State.RUNNING, "heartbeat_at__gte": now - SILENT_AFTER}
    if "gpu" not in queues and any(model.objects.filter(**running).exists() for model in (GenerationJob, ScoringJob)):
        queues.add("gpu")
    return queues


def _is_busy() -> bool:
    return any(model.objects.filter(state=LeasedJob.State.RUNNING).exists() for model in (GenerationJob, ScoringJob))
