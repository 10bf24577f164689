"""The metrics of jobs, workers, cards, endpoints and studies, as Prometheus reads them: counts, costs, names."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from annotation.models import ReportFileJob, ReportJob, Study, StudyFileJob, UploadJob
from annotation.studies.lifecycle.progress import IN_PRODUCTION, progress_of
from annotation.studies.lifecycle.watching import pace, workers
from generation.endpoints.definitions import MICROS
from generation.machines.card_failures import refused_cards
from generation.models import EndpointAccount, GenerationJob
from jobs.models import LeasedJob
from scoring.models import ScoringJob

CONTENT_TYPE = CONTENT_TYPE_LATEST
KINDS = {
    "images": GenerationJob,
    "scores": ScoringJob,
    "report": ReportJob,
    "report_file": ReportFileJob,
    "study_file": StudyFileJob,
    "upload": UploadJob,
}
UNSETTLED = (LeasedJob.State.QUEUED, LeasedJob.State.RUNNING, LeasedJob.State.FAILED)


def metrics_text() -> bytes:
    """Return all metrics in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry)


class _Collector:
    """Reads the database when the metrics are asked for, so that every web process gives the same answer."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of jobs, workers, cards, endpoints and studies."""
        yield from _of_jobs()
        yield from _of_workers()
        yield from _of_endpoints()
        yield from _of_studies()


def _of_jobs() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("semblance_jobs", "Jobs that wait, run or have failed.", labels=["kind", "state"])
    for kind, model in KINDS.items():
        rows = model._default_manager.filter(state__in=UNSETTLED).order_by().values_list("state")
        counts = dict(rows.annotate(Count("pk")))
        for state in UNSETTLED:
            jobs.add_metric([kind, state.value], counts.get(state.value, 0))
    yield jobs


def _of_workers() -> Iterator[Metric]:
    labels = ["worker", "queue", "card"]
    serving = GaugeMetricFamily("semblance_worker_serving", "1: takes jobs; 0: rests.", labels=[*labels, "version"])
    busy = GaugeMetricFamily("semblance_worker_busy", "1: a job runs.", labels=labels)
    idle = GaugeMetricFamily(
        "semblance_worker_idle_ratio", "Share of the last ten minutes without a job.", labels=labels
    )
    used = GaugeMetricFamily("semblance_worker_memory_used_bytes", "Of its device, after its last job.", labels=labels)
    total = GaugeMetricFamily("semblance_worker_memory_bytes", "Of its device.", labels=labels)
    last = GaugeMetricFamily("semblance_worker_last_job_timestamp_seconds", "When its last job ended.", labels=labels)
    for worker in workers():
        names = [worker.name, worker.queue, worker.card]
        serving.add_metric([*names, worker.version], not worker.note)
        busy.add_metric(names, bool(worker.job))
        used.add_metric(names, worker.memory_used)
        total.add_metric(names, worker.memory_total)
        if worker.idle_share is not None:
            idle.add_metric(names, worker.idle_share)
        if worker.last_job_at is not None:
            last.add_metric(names, worker.last_job_at.timestamp())
    yield from (serving, busy, idle, used, total, last)
    yield GaugeMetricFamily("semblance_cards_refused", "Cards that take no more jobs.", value=refused_cards().count())


def _of_endpoints() -> Iterator[Metric]:
    labels = ["endpoint", "currency"]
    cost = GaugeMetricFamily("semblance_endpoint_cost", "What all requests have cost.", labels=labels)
    limit = GaugeMetricFamily("semblance_endpoint_cost_limit", "The most that they may cost.", labels=labels)
    for account in EndpointAccount.objects.all():
        names = [account.name, account.currency]
        cost.add_metric(names, account.cost_micros / MICROS)
        if account.limit_micros is not None:
            limit.add_metric(names, account.limit_micros / MICROS)
    yield from (cost, limit)


def _of_studies() -> Iterator[Metric]:
    studies = list(Study.objects.filter(state__in=IN_PRODUCTION).order_by("slug"))
    labels = ["study"]
    planned = GaugeMetricFamily("semblance_study_images_planned", "Of studies whose images are made.", labels=labels)
    made = GaugeMetricFamily("semblance_study_images", "Images that exist.", labels=labels)
    speed = GaugeMetricFamily("semblance_study_images_per_second", "Over the last ten minutes.", labels=labels)
    left = GaugeMetricFamily("semblance_study_seconds_left", "Until its last image, at this speed.", labels=labels)
    failed = GaugeMetricFamily("semblance_study_jobs_failed", "Jobs that failed for good.", labels=labels)
    counts_of = progress_of(studies)
    for study in studies:
        counts = counts_of[study.pk]
        planned.add_metric([study.slug], counts.planned_image_count)
        made.add_metric([study.slug], counts.image_count)
        failed.add_metric([study.slug], counts.failed_job_count)
        its_pace = pace(study, counts)
        if its_pace.images_per_second is not None and its_pace.seconds_left is not None:
            speed.add_metric([study.slug], its_pace.images_per_second)
            left.add_metric([study.slug], its_pace.seconds_left)
    yield from (planned, made, speed, left, failed)
