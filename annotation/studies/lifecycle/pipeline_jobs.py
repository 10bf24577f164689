"""The jobs that a study waits for: first its images, then its scores. The job table is the truth."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from celery import current_app
from django.db import transaction
from django.db.models import Count, QuerySet

from annotation.models import Comparison, Study, StudyModel
from annotation.studies.comparisons import comparisons_of, hold, image_sets_of
from annotation.voting.storage.slices import in_slices
from generation.models import GeneratedImage, GenerationJob, ImageSet, ModelTrial
from generation.plans.image_sets import missing_seeds, plan_jobs
from jobs import claims, clock, messages
from jobs.claims import TRIED
from jobs.models import LeasedJob
from jobs.wording import counted
from scoring.encoder_spec import EncoderSpec
from scoring.metric_spec import MetricSpec
from scoring.models import ScoringJob, SetScore
from scoring.scores import plan_scorings

# The number of messages sent at a time. Every job that ends makes `advance` send the next ones.
MESSAGES_AT_ONCE = 500
MOST_NAMED = 20  # failed jobs whose seeds are named
State = LeasedJob.State


def _jobs_of(study: Study) -> "tuple[QuerySet[GenerationJob], QuerySet[ScoringJob]]":
    """Return every job for image sets of the study, of any metric."""
    sets = image_sets_of(study)
    return GenerationJob.objects.filter(image_set__in=sets), ScoringJob.objects.filter(image_set__in=sets)


def request_advance(study: Study) -> None:
    """Ask a worker to advance the study, as soon as the transaction is committed."""
    message = current_app.signature("annotation.tasks.advance_study", args=(study.pk,))  # studies know no tasks
    transaction.on_commit(partial(messages.send, message))


def studies_of_job(task_name: str, job_id: int) -> list[Study]:
    """Return the studies whose images are made or scored, and that the job was for."""
    if task_name == ModelTrial.task_name:
        return _studies_to_try(job_id)
    kind = {model.task_name: model for model in (GenerationJob, ScoringJob)}[task_name]
    image_set_ids = list(kind._default_manager.filter(pk=job_id).values_list("image_set", flat=True))
    using = comparisons_of(ImageSet.objects.filter(pk__in=image_set_ids)).values("study")
    return list(Study.objects.filter(pk__in=using, state__in=(Study.State.GENERATING, Study.State.SCORING)))


def pauses(study: Study) -> list[str]:
    """Return a sentence for each reason why jobs of the study wait before they are tried again."""
    reasons: Counter[str] = Counter()
    if study.state in (Study.State.GENERATING, Study.State.SCORING):
        for jobs in _jobs_of(study):
            paused = jobs.filter(state=State.QUEUED, not_before__gt=clock.now()).order_by()
            reasons.update(dict(paused.values_list("error").annotate(Count("pk"))))
    return [
        f"{counted(count, 'job')} {'waits' if count == 1 else 'wait'} for the next try: {reason.removeprefix(TRIED)}"
        for reason, count in sorted(reasons.items())
    ]


def only_others_run(study: Study) -> bool:
    """Return whether jobs run now, and none of them is the study's."""
    running = {"state": State.RUNNING}
    if any(jobs.filter(**running).exists() for jobs in _jobs_of(study)):
        return False
    return any(model._default_manager.filter(**running).exists() for model in (GenerationJob, ScoringJob))


def _studies_to_try(trial_id: int) -> list[Study]:
    models = ModelTrial.objects.filter(pk=trial_id).values("diffusion_model")
    using = StudyModel.objects.filter(diffusion_model__in=models).values("study")
    return list(Study.objects.filter(state=Study.State.GENERATING, pk__in=using))


def set_priority(study: Study, priority: int) -> None:
    """Let the jobs of the study go before those of studies with a lower priority, and after those with a higher one."""
    Study.objects.filter(pk=study.pk).update(priority=priority)
    study.priority = priority
    for jobs in _jobs_of(study):
        jobs.filter(state=State.QUEUED).update(priority=priority)


def ensure_images(study: Study) -> str:
    """Plan and enqueue the jobs of missing images. Return how many are left in words; empty if all images exist."""
    jobs, _scoring_jobs = _jobs_of(study)
    if to_do := _enqueue(study, jobs):
        return to_do
    incomplete = incomplete_sets_of(study)
    generated = [image_set for image_set in incomplete if image_set.origin == ImageSet.Origin.GENERATED]
    in_slices(generated, partial(_plan_images, study))
    # Planning also restores jobs of these sets that were cancelled for another study.
    to_do = _enqueue(study, jobs)
    if incomplete and not to_do:
        return f"{incomplete[0]} lacks imported images; import them again with import_images"
    return to_do


def _plan_images(study: Study, image_sets: Sequence[ImageSet]) -> None:
    hold(study)  # a deletion has cancelled these jobs, or will
    plan_jobs(image_sets)


def incomplete_sets_of(study: Study) -> list[ImageSet]:
    """Return the image sets of the study that have fewer images than planned."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study)).order_by()
    counts = dict(images.values_list("image_set").annotate(Count("pk")))
    sets = image_sets_of(study).select_related("diffusion_model", "prompt")
    return [image_set for image_set in sets if counts.get(image_set.pk, 0) < len(image_set.seeds)]


def ensure_scores(study: Study, spec: MetricSpec) -> str:
    """Plan and enqueue the jobs of missing scores. Return how many are left in words; empty if all sets are scored."""
    wanted = _jobs_of(study)[1].filter(metric=spec.identity)
    if to_do := _enqueue(study, wanted):
        return to_do
    unscored = list(unscored_sets_of(study, spec.identity).values_list("pk", flat=True))
    in_slices(unscored, partial(_plan_scores, study, spec))
    return _enqueue(study, wanted)


def _plan_scores(study: Study, spec: MetricSpec, image_sets: Sequence[int]) -> None:
    hold(study)
    plan_scorings(image_set_ids=image_sets, spec=spec)
    claims.requeue(ScoringJob.objects.filter(image_set__in=image_sets, metric=spec.identity))


def unscored_sets_of(study: Study, metric: str) -> QuerySet[ImageSet]:
    """Return the image sets of the study that have no score by the metric."""
    return image_sets_of(study).exclude(pk__in=SetScore.objects.filter(metric=metric).values("image_set"))


def lacks_embeddings(study: Study, encoder: EncoderSpec) -> bool:
    """Return whether an image of the study has no embedding by the encoder."""
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study))
    return images.exclude(embeddings__encoder__identity=encoder.identity).exists()


def scoring_failures(study: Study, metric: str) -> list[str]:
    """Return why scores by the metric failed for good: each sentence once, by alphabet."""
    failed = _jobs_of(study)[1].filter(metric=metric, state=State.FAILED)
    return sorted(set(failed.values_list("error", flat=True)))


def retry_failed(study: Study) -> int:
    """Requeue the failed jobs; return how many."""
    return sum(_retry(jobs) for jobs in _jobs_of(study))


def has_failed_jobs(study: Study) -> bool:
    """Return whether a job of the study failed for good."""
    return any(jobs.filter(state=State.FAILED).exists() for jobs in _jobs_of(study))


def _retry(jobs: "QuerySet[GenerationJob] | QuerySet[ScoringJob]") -> int:
    failed = list(jobs.filter(state=State.FAILED).order_by("pk").values_list("pk", flat=True))
    return sum(in_slices(failed, lambda ids: claims.retry(jobs.model.objects.filter(pk__in=ids))))


def has_failed(image_set: ImageSet, seed: int) -> bool:
    """Return whether a job failed for good to make the image of the seed, or to score its set."""
    failed = GenerationJob.objects.filter(image_set=image_set, state=State.FAILED)
    if seed in missing_seeds(image_set) and any(seed in job.seeds for job in failed):
        return True
    return ScoringJob.objects.filter(image_set=image_set, state=State.FAILED).exists()


def seeds_without_an_image(study: Study) -> list[str]:
    """Return in words what `failed_seeds` returns."""
    return [
        f"Comparison {comparison.position + 1} ({comparison.prompt}): seed {', '.join(map(str, seeds))}"
        for comparison, seeds in failed_seeds(study)
    ]


def failed_seeds(study: Study) -> list[tuple[Comparison, list[int]]]:
    """Return by comparison the seeds whose image a failed job did not make: of at most MOST_NAMED jobs."""
    failed = GenerationJob.objects.filter(image_set__in=image_sets_of(study), state=State.FAILED).order_by("pk")
    jobs_of: dict[int, list[GenerationJob]] = {}
    for job in failed.select_related("image_set")[:MOST_NAMED]:
        jobs_of.setdefault(job.image_set_id, []).append(job)
    comparisons = comparisons_of(ImageSet.objects.filter(pk__in=list(jobs_of))).filter(study=study)
    found = []
    for comparison in comparisons.order_by("position").select_related("prompt"):
        jobs = [*jobs_of.get(comparison.image_set_a_id, []), *jobs_of.get(comparison.image_set_b_id, [])]
        seeds = sorted({seed for job in jobs for seed in missing_seeds(job.image_set) if seed in job.seeds})
        if seeds:
            found.append((comparison, seeds))
    return found


def cancel_unused(image_sets: Iterable[ImageSet]) -> None:
    """Cancel the jobs of sets that no comparison uses any more. Planning these sets again restores the jobs."""
    unused = [image_set for image_set in image_sets if not comparisons_of([image_set]).exists()]
    claims.cancel(GenerationJob.objects.filter(image_set__in=unused))
    claims.cancel(ScoringJob.objects.filter(image_set__in=unused))


def _enqueue(study: Study, wanted: "QuerySet[GenerationJob] | QuerySet[ScoringJob]") -> str:
    """Send the unsent messages. Return in words how many jobs wait, run or have failed; empty if there are none."""
    if study.priority:  # a job that another study uses too keeps the higher one
        wanted.filter(state=State.QUEUED, priority__lt=study.priority).update(priority=study.priority)
    due = claims.due(wanted).filter(enqueued_at__isnull=True)
    unsent = due.select_related("image_set__diffusion_model")  # type: ignore[misc]  # both kinds of jobs have it
    messages.enqueue(unsent[:MESSAGES_AT_ONCE])
    counts = dict(wanted.order_by().values_list("state").annotate(Count("pk")))
    waiting, failed = counts.get(State.QUEUED, 0) + counts.get(State.RUNNING, 0), counts.get(State.FAILED, 0)
    sentences = [f"{counted(waiting, 'job')} to do"] if waiting else []
    return ", ".join([*sentences, f"{counted(failed, 'job')} failed for good"] if failed else sentences)
