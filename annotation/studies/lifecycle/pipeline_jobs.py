"""The jobs that a study waits for: images first, then scores. The job table is the truth."""

import logging
from collections.abc import Iterable, Sequence
from functools import partial

from celery import current_app
from celery.canvas import Signature
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from kombu.exceptions import OperationalError

from annotation.models import Comparison, Study
from annotation.studies.comparisons import image_sets_of
from annotation.voting.storage.slices import in_slices
from generation.image_sets import missing_seeds, plan_jobs
from generation.models import GeneratedImage, GenerationJob, ImageSet
from jobs import claims
from jobs.models import LeasedJob
from jobs.wording import counted
from scoring.encoder_spec import EncoderSpec
from scoring.models import ScoringJob, SetScore
from scoring.scores import plan_scorings

logger = logging.getLogger(__name__)

# So many messages are sent at a time; every job that ends asks for the next ones.
MESSAGES_AT_ONCE = 500
State = LeasedJob.State


def generation_jobs_of(study: Study) -> QuerySet[GenerationJob]:
    """The jobs that make the images of the study."""
    return GenerationJob.objects.filter(image_set__in=image_sets_of(study))


def scoring_jobs_of(study: Study, metric: str) -> QuerySet[ScoringJob]:
    """The jobs that score the sets of the study by one metric."""
    return ScoringJob.objects.filter(image_set__in=image_sets_of(study), metric=metric)


def follow_up(study: Study) -> Signature:
    """What comes after each job. By name: generation knows no study, and this wing does not import the tasks."""
    return current_app.signature("annotation.tasks.advance_study", args=(study.pk,), immutable=True)


def prod(study: Study) -> None:
    """Ask a worker to advance the study, once the transaction is committed."""
    transaction.on_commit(partial(_send, follow_up(study)))


def _send(message: Signature) -> None:
    try:
        message.apply_async()
    except OperationalError:
        logger.warning("no message sent for %s: the broker is away; the next tick does it", message.task)


def work_on_images(study: Study) -> str:
    """See to it that every planned image is made: what is still to be done, empty where all is there."""
    if to_do := _see_to(study, generation_jobs_of(study)):
        return to_do
    incomplete = incomplete_sets_of(study)
    in_slices([one for one in incomplete if one.origin == ImageSet.Origin.GENERATED], plan_jobs)
    # Planning again gave jobs to what had none left, for example where they were cancelled for another study.
    to_do = _see_to(study, generation_jobs_of(study))
    if incomplete and not to_do:
        return f"{incomplete[0]} lacks imported images; import them again with import_images"
    return to_do


def incomplete_sets_of(study: Study) -> list[ImageSet]:
    """The sets of the study that have fewer images than they plan."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study)).order_by()
    counts = dict(images.values_list("image_set").annotate(Count("pk")))
    sets = image_sets_of(study).select_related("diffusion_model", "prompt")
    return [image_set for image_set in sets if counts.get(image_set.pk, 0) < len(image_set.seeds)]


def work_on_scores(study: Study, encoder: EncoderSpec) -> str:
    """See to it that every set is scored by the encoder's metric: what is still to be done, empty where all is."""
    wanted = scoring_jobs_of(study, encoder.metric)
    if to_do := _see_to(study, wanted):
        return to_do
    unscored = list(unscored_sets_of(study, encoder.metric).values_list("pk", flat=True))
    in_slices(unscored, partial(_plan_scores, encoder))
    return _see_to(study, wanted)


def _plan_scores(encoder: EncoderSpec, image_sets: Sequence[int]) -> None:
    plan_scorings(image_set_ids=image_sets, encoder=encoder)
    claims.requeue(ScoringJob.objects.filter(image_set__in=image_sets, metric=encoder.metric))


def unscored_sets_of(study: Study, metric: str) -> QuerySet[ImageSet]:
    """The sets of the study without a score by the metric."""
    return image_sets_of(study).exclude(pk__in=SetScore.objects.filter(metric=metric).values("image_set"))


def _all_jobs_of(study: Study) -> "tuple[QuerySet[GenerationJob], QuerySet[ScoringJob]]":
    """Every job at the study's sets, of any metric."""
    sets = image_sets_of(study)
    return GenerationJob.objects.filter(image_set__in=sets), ScoringJob.objects.filter(image_set__in=sets)


def retry_failed(study: Study) -> int:
    """Queue what failed again; how many jobs."""
    return sum(_retry(some) for some in _all_jobs_of(study))


def has_failed_jobs(study: Study) -> bool:
    """Whether a job of the study failed for good."""
    return any(some.filter(state=State.FAILED).exists() for some in _all_jobs_of(study))


def _retry(some: "QuerySet[GenerationJob] | QuerySet[ScoringJob]") -> int:
    failed = list(some.filter(state=State.FAILED).order_by("pk").values_list("pk", flat=True))
    return sum(in_slices(failed, lambda ids: claims.retry(some.model.objects.filter(pk__in=ids))))


def has_failed(image_set: ImageSet, seed: int) -> bool:
    """Whether a job failed for good at the seed's image, or at scoring the set that it belongs to."""
    failed = GenerationJob.objects.filter(image_set=image_set, state=State.FAILED)
    if seed in missing_seeds(image_set) and any(seed in job.seeds for job in failed):
        return True
    return ScoringJob.objects.filter(image_set=image_set, state=State.FAILED).exists()


def cancel_unused(image_sets: Iterable[ImageSet]) -> None:
    """Cancel the jobs of sets that no comparison shows any more; a study that plans them later wakes them."""
    unused = [
        image_set
        for image_set in image_sets
        if not Comparison.objects.filter(Q(image_set_a=image_set) | Q(image_set_b=image_set)).exists()
    ]
    claims.cancel(GenerationJob.objects.filter(image_set__in=unused))
    claims.cancel(ScoringJob.objects.filter(image_set__in=unused))


def _see_to(study: Study, wanted: "QuerySet[GenerationJob] | QuerySet[ScoringJob]") -> str:
    """Send the messages that were never sent; what is to be done, empty where no job waits, runs or has failed."""
    unsent = wanted.filter(state=State.QUEUED, enqueued_at__isnull=True)[:MESSAGES_AT_ONCE]
    claims.enqueue(unsent, link=follow_up(study))
    counts = dict(wanted.order_by().values_list("state").annotate(Count("pk")))
    waiting, failed = counts.get(State.QUEUED, 0) + counts.get(State.RUNNING, 0), counts.get(State.FAILED, 0)
    sentences = [f"{counted(waiting, 'job')} to do"] if waiting else []
    return ", ".join([*sentences, f"{counted(failed, 'job')} failed for good"] if failed else sentences)
