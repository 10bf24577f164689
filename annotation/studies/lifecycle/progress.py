"""The progress of a study: counts that may be shown while it is sealed."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)

from annotation.models import Annotator, Comparison, Study
from annotation.studies.comparisons import SIDES
from annotation.studies.current import current_manifests
from annotation.studies.manifest import Manifest
from generation.models import GenerationJob, without_model
from jobs.models import LeasedJob
from scoring.models import ScoringJob, SetScore


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """Counts of one study. `failures` are the sentences of jobs that failed for good, each once, with its count.

    `slot_total`: votes wanted, without those that early stopping saves. `held_count`: comparisons on a screen or
    prefetched, counted once for each annotator, without checks; 0 once the study is closed. `complete_count`:
    comparisons that need no more votes; `closed_early_count` of them have fewer than the overlap. `parked_count`:
    comparisons set aside because of reported images.
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

    def votes_in_words(self, study: Study) -> str:
        """Return the votes and how many are wanted; an external study wants none."""
        is_external = study.source == Study.Source.EXTERNAL
        return str(self.vote_count) if is_external else f"{self.vote_count} of {self.slot_total}"


def progress(study: Study) -> StudyProgress:
    """Return the progress of one study."""
    return progress_of([study])[study.pk]


def progress_of(studies: Sequence[Study]) -> dict[int, StudyProgress]:
    """Return the progress of several studies, by the study's id, with as many queries as for one.

    Everything is counted from the comparisons of these studies, so that the cost does not grow with other studies.
    Images and jobs are counted only while they are made: afterwards every planned image exists.
    """
    manifests = current_manifests(studies)
    counters, kinds = _counters(studies), _annotator_kinds(studies)
    products = _Products.of(studies, several={pk for pk, manifest in manifests.items() if not manifest.has_two_models})
    return {
        study.pk: _progress(study, manifests[study.pk], counters.get(study.pk), kinds, products) for study in studies
    }


Counters = dict[str, int]
Failure = tuple[str, str]  # the metric, "" for images, and the sentence of a failed job
ByStudy = Counter[tuple[Any, ...]]  # counts by the study's id and further keys
IN_PRODUCTION = (Study.State.GENERATING, Study.State.SCORING)
UNFINISHED = (Study.State.DRAFT, Study.State.GENERATING)  # images may be missing


@dataclass(frozen=True, slots=True)
class _Products:
    """Counts of images, scored sets and jobs. images: by study. scored: sets by study and metric, "" for any metric.

    jobs: by study, metric ("" for images) and state. failures: by study, metric and sentence, of any metric.
    sets, seeds: by study, of those of several models, whose sets are in several comparisons.
    """

    images: ByStudy
    sets: ByStudy
    seeds: ByStudy
    scored: ByStudy
    jobs: ByStudy
    failures: dict[int, Counter[Failure]]

    @classmethod
    def of(cls, studies: Sequence[Study], several: Collection[int]) -> "_Products":
        """Count them for these studies. several: the ids of those of more than two models."""
        making = _comparisons(study for study in studies if study.state in IN_PRODUCTION)
        external = _comparisons(study for study in studies if study.source == Study.Source.EXTERNAL)
        others = _comparisons(study for study in studies if study.source != Study.Source.EXTERNAL)
        jobs = _counted(making, several, "jobs", Value(""), "jobs__state")
        jobs += _counted(making, several, "scoring_jobs", "scoring_jobs__metric", "scoring_jobs__state")
        sets, seeds = _planned(_comparisons(study for study in studies if study.pk in several), several)
        return cls(
            images=_counted(making, several, "images"),
            sets=sets,
            seeds=seeds,
            scored=_counted(others, several, "scores", "scores__metric") + _scored_by_any(external, several),
            jobs=jobs,
            failures=_failures(making, others),
        )


def _comparisons(studies: Iterable[Study]) -> QuerySet[Comparison]:
    return Comparison.objects.filter(study__in=[study.pk for study in studies]).order_by()


def _by_side(comparisons: QuerySet[Comparison], several: Collection[int]) -> Iterator[tuple[str, QuerySet[Comparison]]]:
    """Yield a side and comparisons, so that each image set of a study is on the side of just one of them.

    A set of a study of several models is in several comparisons, on either side: there it counts in the first one that
    has it on side A, else in the first that has it on side B. The others are spared this condition.
    """
    for side in SIDES:
        yield side, comparisons.exclude(study__in=several) if several else comparisons
    if not several:
        return
    of_several, same = comparisons.filter(study__in=several), Comparison.objects.filter(study=OuterRef("study"))
    on_a = Exists(same.filter(image_set_a=OuterRef("image_set_b")))
    for side in SIDES:
        earlier = Exists(same.filter(position__lt=OuterRef("position"), **{side: OuterRef(side)}))
        yield side, of_several.filter(~earlier) if side == SIDES[0] else of_several.filter(~earlier, ~on_a)


def _planned(comparisons: QuerySet[Comparison], several: Collection[int]) -> tuple[ByStudy, ByStudy]:
    """Count the image sets of studies of several models, and the images planned in them."""
    sets, seeds = ByStudy(), ByStudy()
    for side, some in _by_side(comparisons, several) if several else ():
        rows = some.values_list("study").annotate(sets=Count("pk"), seeds=Sum(_Length(f"{side}__seeds"), default=0))
        for study, set_count, seed_count in rows.values_list("study", "sets", "seeds"):
            sets[study,] += set_count
            seeds[study,] += seed_count
    return sets, seeds


def _counted(comparisons: QuerySet[Comparison], several: Collection[int], rows: str, *by: "str | Value") -> ByStudy:
    """Count the rows of a kind that belong to the sets of the comparisons, by study and `by`: one query per side."""
    counts = ByStudy()
    for side, some in _by_side(comparisons, several):
        named = {f"by_{place}": F(f"{side}__{key}") if isinstance(key, str) else key for place, key in enumerate(by)}
        grouped = some.annotate(**named).values_list("study", *named)
        for *key, count in grouped.annotate(count=Count(f"{side}__{rows}")):
            counts[tuple(key)] += count
    return +counts


def _scored_by_any(comparisons: QuerySet[Comparison], several: Collection[int]) -> ByStudy:
    """Count the sets with a score of any metric: the scores of an external study are imported."""
    counts = ByStudy()
    for side, some in _by_side(comparisons, several):
        scored = some.filter(Exists(SetScore.objects.filter(image_set=OuterRef(side))))
        for study, count in scored.values_list("study").annotate(count=Count("pk")):
            counts[study, ""] += count
    return counts


def _failures(making: QuerySet[Comparison], others: QuerySet[Comparison]) -> dict[int, Counter[Failure]]:
    """Return the failed jobs by study: first those for images, then those for scores, of any metric.

    A further metric may fail in any state of a study. Without a failed job no comparison is read for it.
    """
    failures: dict[int, Counter[Failure]] = {}
    kinds = (("jobs", GenerationJob, making, Value("")), ("scoring_jobs", ScoringJob, others, "scoring_jobs__metric"))
    for jobs, model, comparisons, metric in kinds:
        if not model._default_manager.filter(state=LeasedJob.State.FAILED).exists():
            continue
        rows: list[tuple[int, int, str, str]] = []
        for side in SIDES:
            failed = comparisons.filter(**{f"{side}__{jobs}__state": LeasedJob.State.FAILED})
            named = F(f"{side}__{metric}") if isinstance(metric, str) else metric
            columns = (f"{side}__{jobs}__pk", "study", "of", f"{side}__{jobs}__error")
            rows += failed.annotate(of=named).values_list(*columns)
        for _pk, study, of, error in sorted(set(rows)):
            failures.setdefault(study, Counter())[of, error] += 1
    return failures


def _progress(
    study: Study, manifest: Manifest, counters: Counters | None, kinds: ByStudy, products: _Products
) -> StudyProgress:
    counters = counters or dict.fromkeys(_COUNTERS, 0)
    comparison_count, set_count, metric = manifest.comparison_count, manifest.image_set_count, manifest.encoder.metric
    failures = products.failures.get(study.pk, Counter())
    sets, seeds = products.sets[study.pk,], products.seeds[study.pk,]
    if manifest.has_two_models:
        sets, seeds = 2 * counters["comparisons"], counters["images"]
    planned = seeds + (set_count - sets) * len(manifest.seeds)
    is_external = study.source == Study.Source.EXTERNAL
    jobs = {
        state: products.jobs[study.pk, "", state] + products.jobs[study.pk, metric, state] for state in LeasedJob.State
    }
    return StudyProgress(
        state=study.state,
        comparison_count=comparison_count,
        planned_image_count=planned,
        image_count=min(planned, products.images[study.pk,]) if study.state in UNFINISHED else planned,
        set_count=set_count,
        scored_set_count=products.scored[study.pk, "" if is_external else metric],
        waiting_job_count=jobs[LeasedJob.State.QUEUED],
        running_job_count=jobs[LeasedJob.State.RUNNING],
        failed_job_count=failures.total(),
        slot_total=counters["wanted"] if counters["comparisons"] else comparison_count * manifest.annotation.overlap,
        vote_count=counters["votes"],
        held_count=0 if study.is_over else counters["slots"] - counters["votes"],
        complete_count=counters["complete"],
        closed_early_count=counters["early"],
        parked_count=counters["parked"],
        annotator_count=sum(kinds[study.pk, kind] for kind in Annotator.Kind),
        simulated_annotator_count=kinds[study.pk, Annotator.Kind.SIMULATED],
        failures=tuple(
            _blind(_failure_words(failure, count, metric), study, manifest) for failure, count in failures.items()
        ),
    )


def _blind(sentence: str, study: Study, manifest: Manifest) -> str:
    """Return the sentence without the model of an image set: the blind contact sheets mark the set that it is about."""
    if not manifest.sealed or study.state == Study.State.CLOSED:
        return sentence
    for plan in manifest.models.values():
        sentence = without_model(sentence, plan.name)
    return sentence


def _failure_words(failure: Failure, count: int, own_metric: str) -> str:
    """Return the sentence of failed jobs, with the metric if it is a further one, and their number."""
    metric, error = failure
    sentence = f"{metric}: {error}" if metric not in ("", own_metric) else error
    return sentence if count == 1 else f"{sentence} ({count} jobs)"


class _Length(Func):
    """The number of values in a JSON list."""

    function = "JSON_ARRAY_LENGTH"
    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Use the function for jsonb, the type in which PostgreSQL stores JSON."""
        return self.as_sql(compiler, connection, function="JSONB_ARRAY_LENGTH", **context)


_IS_FULL, _IS_EARLY = Q(vote_count__gte=F("overlap")), Q(decided_at__isnull=False, vote_count__lt=F("overlap"))
_COUNTERS: dict[str, Any] = {
    "comparisons": Count("pk"),
    "wanted": Sum(Case(When(_IS_EARLY, then="vote_count"), default="overlap"), default=0),
    "votes": Sum("vote_count", default=0),
    "slots": Sum("slot_count", default=0),
    "complete": Count("pk", filter=_IS_FULL | _IS_EARLY),
    "early": Count("pk", filter=_IS_EARLY),
    "parked": Count("pk", filter=Q(parked_at__isnull=False)),
    # Counted from the sets, because a seed may have been dropped.
    "images": Sum(_Length("image_set_a__seeds") + _Length("image_set_b__seeds"), default=0),
}


def _counters(studies: Sequence[Study]) -> dict[int, Counters]:
    """Sum the counters of the comparisons, without reading any vote."""
    counts = {f"n_{name}": count for name, count in _COUNTERS.items()}
    rows = _comparisons(studies).values_list("study").annotate(**counts).values_list("study", *counts)
    return {study: dict(zip(_COUNTERS, values, strict=True)) for study, *values in rows}


def _annotator_kinds(studies: Sequence[Study]) -> ByStudy:
    annotators = Annotator.objects.filter(study__in=[study.pk for study in studies]).order_by()
    rows = annotators.values_list("study", "kind").annotate(count=Count("pk"))
    return ByStudy({(study, kind): count for study, kind, count in rows})
