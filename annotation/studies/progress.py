"""How far a study is: counts that may be shown while it is sealed."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, Max, Q, QuerySet, Sum, When

from annotation.models import Annotator, Comparison, Study
from annotation.studies.comparisons import image_sets_of
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.studies.work import generation_jobs_of, scoring_jobs_of, unscored_sets_of
from generation.models import GeneratedImage, GenerationJob, LeasedJob
from scoring.models import ScoringJob, SetScore


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """Counts of one study. `failures` are the sentences of jobs that failed for good, each once, with its count.

    `slot_total`: votes wanted; what early stopping saves is wanted no more. `held_count`: comparisons on a screen or
    fetched ahead of it, counted once for each annotator; none once the study is closed. `complete_count`: comparisons
    that want no more votes, `closed_early_count` of them with fewer than the overlap. `parked_count`: set aside by
    reported images.
    """

    state: str
    comparison_count: int
    planned_image_count: int
    image_count: int
    set_count: int
    scored_set_count: int
    waiting_job_count: int
    running_job_count: int
    failed_job_count: int
    slot_total: int
    vote_count: int
    held_count: int
    complete_count: int
    closed_early_count: int
    parked_count: int
    annotator_count: int
    simulated_annotator_count: int
    failures: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """The counts as JSON keeps them."""
        return asdict(self)


def progress(study: Study) -> StudyProgress:
    """Count what is planned and what is there."""
    manifest = current_manifest(study)
    jobs = Counter[str]()
    for queryset in (generation_jobs_of(study), scoring_jobs_of(study, manifest.encoder.metric)):
        jobs.update(queryset.order_by().values_list("state", flat=True))
    votes = _vote_counts(study)
    kinds = Counter[str](
        dict(Annotator.objects.filter(study=study).order_by().values_list("kind").annotate(count=Count("pk")))
    )
    set_count = 2 * len(manifest.prompts)
    planned_image_count = _planned_image_count(study, manifest)
    return StudyProgress(
        state=study.state,
        comparison_count=len(manifest.prompts),
        planned_image_count=planned_image_count,
        image_count=min(planned_image_count, _image_count(study)),
        set_count=set_count,
        scored_set_count=_scored_set_count(study, manifest),
        waiting_job_count=jobs[LeasedJob.State.QUEUED],
        running_job_count=jobs[LeasedJob.State.RUNNING],
        failed_job_count=jobs[LeasedJob.State.FAILED],
        slot_total=votes["wanted"] if votes["comparisons"] else len(manifest.prompts) * manifest.annotation.overlap,
        vote_count=votes["votes"],
        held_count=0 if study.state == Study.State.CLOSED else votes["slots"] - votes["votes"],
        complete_count=votes["complete"],
        closed_early_count=votes["early"],
        parked_count=votes["parked"],
        annotator_count=kinds.total(),
        simulated_annotator_count=kinds[Annotator.Kind.SIMULATED],
        failures=_failures(generation_jobs_of(study)) + _failures(scoring_jobs_of(study, manifest.encoder.metric)),
    )


def _vote_counts(study: Study) -> dict[str, int]:
    """One look at the comparisons' counters, never at the votes."""
    is_full, is_early = Q(vote_count__gte=F("overlap")), Q(decided_at__isnull=False, vote_count__lt=F("overlap"))
    return Comparison.objects.filter(study=study).aggregate(
        comparisons=Count("pk"),
        wanted=Sum(Case(When(is_early, then="vote_count"), default="overlap"), default=0),
        votes=Sum("vote_count", default=0),
        slots=Sum("slot_count", default=0),
        complete=Count("pk", filter=is_full | is_early),
        early=Count("pk", filter=is_early),
        parked=Count("pk", filter=Q(parked_at__isnull=False)),
    )


def last_sign_of_a_worker() -> datetime | None:
    """When a worker last showed that it works on any job, of any study."""
    beats = (model.objects.aggregate(at=Max("heartbeat_at"))["at"] for model in (GenerationJob, ScoringJob))
    return max((beat for beat in beats if beat), default=None)


def _planned_image_count(study: Study, manifest: Manifest) -> int:
    """From the sets, since a seed may have been dropped; before they are laid out, from the manifest."""
    seeds = image_sets_of(study).values_list("seeds", flat=True)
    in_sets = [len(one) for one in seeds]
    return sum(in_sets) + (2 * len(manifest.prompts) - len(in_sets)) * len(manifest.seeds)


def _image_count(study: Study) -> int:
    return GeneratedImage.objects.filter(image_set__in=image_sets_of(study)).count()


def _scored_set_count(study: Study, manifest: Manifest) -> int:
    if study.source == Study.Source.EXTERNAL:  # its scores come from elsewhere, under a name of their own
        return image_sets_of(study).filter(pk__in=SetScore.objects.values("image_set")).count()
    return image_sets_of(study).count() - unscored_sets_of(study, manifest.encoder.metric).count()


def _failures(jobs: "QuerySet[GenerationJob] | QuerySet[ScoringJob]") -> tuple[str, ...]:
    errors = Counter(jobs.filter(state=LeasedJob.State.FAILED).order_by("pk").values_list("error", flat=True))
    return tuple(error if count == 1 else f"{error} ({count} jobs)" for error, count in errors.items())
