"""What a worker is told to do. Thin: the job table is the truth, a message holds a job's id."""

from celery import shared_task

from jobs import claims
from jobs.leases import Lease
from scoring.encoder_spec import EncoderSpec
from scoring.models import ScoringJob
from scoring.scores import embed_set, score_set


@shared_task
def run_scoring_job(job_id: int) -> None:
    """Embed and score the image set of a job; nothing where it is settled or somebody else's."""
    claims.work(ScoringJob, job_id, _embed_and_score)


def _embed_and_score(job: ScoringJob, lease: Lease) -> None:
    from scoring import encoders  # loads torch, which the web process, where tasks are registered, never does

    spec = EncoderSpec(**job.encoder)
    embed_set(image_set=job.image_set, encoder=encoders.load(spec), check=lease.check)
    score_set(image_set=job.image_set, encoder=spec)
