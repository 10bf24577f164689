"""Sentences about a missing or busy worker, and about the work that waits for it."""

from collections.abc import Collection

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.pipeline_jobs import only_others_run, pauses
from annotation.studies.lifecycle.progress import StudyProgress
from generation.machines.workers import SILENT_AFTER, served_queues
from generation.models import GenerationJob
from jobs import clock
from jobs.models import LeasedJob
from jobs.wording import command
from scoring.models import ScoringJob

State = Study.State
BY_QUEUE = {
    "gpu": "No worker is running that makes and scores images",
    "endpoints": "No worker is running that asks endpoints for images",
    "control": "No worker is running that moves studies on and makes reports",
}
MADE: dict[str, str] = {
    Study.Source.GENERATED: "images and scores",
    Study.Source.IMAGES: "scores",
    Study.Source.EXTERNAL: "comparisons",
}
# Afterwards only `score_study` asks for the gpu queue, and says so.


def served() -> set[str]:
    """Return the queues that a worker serves."""
    queues = served_queues()
    # If its database is slow, a worker may be late with its own sign of life although its job's heartbeat arrives.
    running = {"state": LeasedJob.State.RUNNING, "heartbeat_at__gte": clock.ago(SILENT_AFTER)}
    if "gpu" not in queues and any(model.objects.filter(**running).exists() for model in (GenerationJob, ScoringJob)):
        queues.add("gpu")
    return queues


def missing_worker(study: Study, queues: Collection[str]) -> str:
    """Return a sentence with the command to type if no worker serves a queue that the study needs; else empty."""
    if study.state == State.CLOSED:
        return ""
    is_made = study.state in Study.BEFORE_READY and study.source != Study.Source.EXTERNAL
    is_asked = is_made and any(model.endpoint for model in study.diffusion_models)
    needed = {"gpu": is_made, "endpoints": is_asked, "control": True}
    missing = [name for name in BY_QUEUE if name not in queues and needed[name]]
    if not missing:
        return ""
    if not queues:
        return f"No worker is running: start one with `{command('worker')}`. {_waiting_work(study)}"
    return (
        f"{BY_QUEUE[missing[0]]}: start one with `{command('worker', '--queues', missing[0])}`. {_waiting_work(study)}"
    )


def _waiting_work(study: Study) -> str:
    plan = current_manifest(study).annotation
    made = MADE[study.source]
    match study.state:
        case State.DRAFT:
            return f"Once the study is launched, its {made} wait for it."
        case State.GENERATING | State.SCORING:
            return f"The study's {made} wait for it."
        case State.READY:
            on_time = " and the opening on its date" if plan.opens_at else ""
            return f"The study can be opened without one; reports{on_time} wait for it."
        case State.CLOSING:
            return "The quality rules are applied for the last time, and the report is made, once one runs."
        case _:
            on_time = " and the closing on its date" if plan.closes_at else ""
            reports = "Reports" if study.state == State.PAUSED else "Votes are taken and saved without one; reports"
            return f"{reports}{on_time} wait for it."


def waits_for(study: Study, counts: StudyProgress) -> str:
    """Return why no job of a study runs although jobs wait; empty if one runs or none waits."""
    if not counts.waiting_job_count or counts.running_job_count:
        return ""
    # Asked anew: a job of the study may have begun since the jobs were counted.
    busy = "The worker is busy with another study; this one follows." if only_others_run(study) else ""
    return missing_worker(study, served()) or "; ".join(pauses(study)) or busy
