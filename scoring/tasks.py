"""The Celery tasks of scoring. Thin: the job table is the truth, and a message only says that there is work."""

from celery import shared_task
from django.db.models import Q, QuerySet

from generation.machines.card_failures import device_faults
from generation.machines.workers import may_take_on_this_card, note_work
from jobs.claims import due
from jobs.leases import Lease
from jobs.work import work_next
from scoring.embeddings import compare_set, embed_set, lacks_embeddings
from scoring.encoder_spec import ComparerSpec, EncoderSpec, source_of
from scoring.encoders.checkpoints import is_encoder_at_hand, needing_encoder
from scoring.metric_spec import SCS, MetricSpec
from scoring.models import ScoringJob
from scoring.scores import score_set

_loaded: list[str] = []  # the metric whose encoder is in memory


def jobs_to_score() -> QuerySet[ScoringJob]:
    """Return the jobs that this process may take: those whose encoder is on this host, or not needed."""
    jobs = may_take_on_this_card(ScoringJob)
    waiting = due(ScoringJob.objects.all()).order_by()
    planned = waiting.values_list("metric", "encoder").distinct()
    for metric, document in planned:
        source = source_of(document)
        if isinstance(source, EncoderSpec) and not is_encoder_at_hand(source):
            jobs = jobs.exclude(pk__in=needing_encoder(waiting.filter(metric=metric), source).values("pk"))
    return jobs


@shared_task
def run_scoring_job(_job_id: int = 0) -> None:
    """Embed and score the image set of the next job. Messages of version 0.2.0 hold a job's id, which is not read."""
    work_next(jobs_to_score(), embed_and_score, prefer=[Q(metric=metric) for metric in _loaded])


def embed_and_score(job: ScoringJob, lease: Lease) -> None:
    """Embed or compare the images of the job's set, unless that is done already, and score the set."""
    spec = MetricSpec.of(job.metric, job.source)
    if spec.comparer and not job.image_set.similarities.filter(name=spec.similarities).exists():
        _compare(job, spec.comparer)
    # A further metric of stored embeddings needs no weights.
    if spec.encoder and (spec.name == SCS or lacks_embeddings(job.image_set, spec.encoder)):
        _embed(job, spec.encoder, lease)
    score_set(image_set=job.image_set, spec=spec)


def _compare(job: ScoringJob, spec: ComparerSpec) -> None:
    from scoring.encoders import lpips  # imported here, as in `_embed`

    with device_faults(job, owner=spec.identity):
        compare_set(image_set=job.image_set, comparer=lpips.load(spec))


def _embed(job: ScoringJob, spec: EncoderSpec, lease: Lease) -> None:
    # Imported here: they load torch, and the web process imports this module.
    from generation.machines.devices import memory_in_use
    from scoring.encoders import loading

    _loaded[:] = [job.metric]
    with device_faults(job, owner=spec.identity):
        embed_set(image_set=job.image_set, encoder=loading.load(spec), check=lease.check)
    used, total = memory_in_use()
    note_work(model=spec.identity, memory_used=used, memory_total=total)
