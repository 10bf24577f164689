"""The Celery tasks of scoring. Thin: the job table is the truth, and a message holds only a job's id."""

from celery import shared_task

from jobs import claims
from jobs.leases import Lease
from scoring.encoder_spec import EncoderSpec
from scoring.models import ScoringJob
from scoring.scores import embed_set, score_set


@shared_task
def run_scoring_job(job_id: int) -> None:
    """Embed and score the image set of a job; do nothing if it has ended or another worker has it."""
    claims.work(ScoringJob, job_id, _embed_and_score)


def _embed_and_score(job: ScoringJob, lease: Lease) -> None:
    from scoring import encoders  # imported here: it loads torch, and the web process imports this module

    spec = EncoderSpec(**job.encoder)
    embed_set(image_set=job.image_set, encoder=encoders.load(spec), check=lease.check)
    score_set(image_set=job.image_set, encoder=spec)
