"""How far a study is: counts that may be shown while it is sealed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
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
from jobs.models import LeasedJob
from scoring.models import SetScore


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

    def votes_in_words(self, study: Study) -> str:
        """The votes beside those wanted; an external study wants none."""
        is_external = study.source == Study.Source.EXTERNAL
        return str(self.vote_count) if is_external else f"{self.vote_count} of {self.slot_total}"

    def as_document(self) -> dict[str, Any]:
        """The counts as JSON keeps them."""
        return asdict(self)


def progress(study: Study) -> StudyProgress:
    """Count what is planned and what is there."""
    return progress_of([study])[study.pk]


def progress_of(studies: Sequence[Study]) -> dict[int, StudyProgress]:
    """The progress of several studies, by the study's id: as many queries as for one.

    Everything is counted from the comparisons of these studies, so that it costs what they hold, not what the
    laboratory holds. Images and jobs are counted while they are made: afterwards every planned image is there.
    """
    manifests = current_manifests(studies)
    counters, kinds = _counters(studies), _annotator_kinds(studies)
    made = _Made.of(studies)
    return {study.pk: _progress(study, manifests[study.pk], counters.get(study.pk), kinds, made) for study in studies}


Counters = dict[str, int]
ByStudy = Counter[tuple[Any, ...]]  # counts, by the study's id and what else is named
IN_THE_MAKING = (Study.State.GENERATING, Study.State.SCORING)
UNFINISHED = (Study.State.DRAFT, Study.State.GENERATING)  # images are missing, as far as anybody has looked


@dataclass(frozen=True, slots=True)
class _Made:
    """Counts of what image sets have. images: by study. scored: sets by study and metric, "" for any. jobs: by study,
    metric ("" for images) and state. failures: sentences of failed jobs by study and metric."""

    images: ByStudy
    scored: ByStudy
    jobs: ByStudy
    failures: dict[tuple[int, str], Counter[str]]

    @classmethod
    def of(cls, studies: Sequence[Study]) -> "_Made":
        """Count them for these studies."""
        making = _comparisons(study for study in studies if study.state in IN_THE_MAKING)
        external = _comparisons(study for study in studies if study.source == Study.Source.EXTERNAL)
        others = _comparisons(study for study in studies if study.source != Study.Source.EXTERNAL)
        jobs = _counted(making, "jobs", Value(""), "jobs__state")
        jobs += _counted(making, "scoring_jobs", "scoring_jobs__metric", "scoring_jobs__state")
        has_failed = any(state == LeasedJob.State.FAILED for _study, _metric, state in jobs)
        return cls(
            images=_counted(making, "images"),
            scored=_counted(others, "scores", "scores__metric") + _scored_by_any(external),
            jobs=jobs,
            failures=_failures(making) if has_failed else {},
        )


def _comparisons(studies: Iterable[Study]) -> QuerySet[Comparison]:
    return Comparison.objects.filter(study__in=[study.pk for study in studies]).order_by()


def _counted(comparisons: QuerySet[Comparison], rows: str, *by: "str | Value") -> ByStudy:
    """How many rows of a kind the sets of the comparisons have, by the study and `by`: a query for each side."""
    counts = ByStudy()
    for side in SIDES:
        named = {f"by_{place}": F(f"{side}__{one}") if isinstance(one, str) else one for place, one in enumerate(by)}
        grouped = comparisons.annotate(**named).values_list("study", *named)
        for *key, count in grouped.annotate(count=Count(f"{side}__{rows}")):
            counts[tuple(key)] += count
    return +counts


def _scored_by_any(comparisons: QuerySet[Comparison]) -> ByStudy:
    """Sets with a score under any name: those of an external study come from elsewhere."""
    counts = ByStudy()
    for side in SIDES:
        scored = comparisons.filter(Exists(SetScore.objects.filter(image_set=OuterRef(side))))
        for study, count in scored.values_list("study").annotate(count=Count("pk")):
            counts[study, ""] += count
    return counts


def _failures(comparisons: QuerySet[Comparison]) -> dict[tuple[int, str], Counter[str]]:
    """The sentences of the jobs that failed, in the order of the jobs."""
    rows = []
    for side in SIDES:
        for jobs, metric in (("jobs", Value("")), ("scoring_jobs", F(f"{side}__scoring_jobs__metric"))):
            failed = comparisons.filter(**{f"{side}__{jobs}__state": LeasedJob.State.FAILED}).annotate(by=metric)
            rows += list(failed.values_list("study", "by", f"{side}__{jobs}__pk", f"{side}__{jobs}__error"))
    found: dict[tuple[int, str], Counter[str]] = {}
    for study, metric, _pk, error in sorted(rows, key=lambda row: row[2]):
        found.setdefault((study, metric), Counter())[error] += 1
    return found


def _progress(
    study: Study, manifest: Manifest, counters: Counters | None, kinds: ByStudy, made: _Made
) -> StudyProgress:
    counters = counters or dict.fromkeys(_COUNTERS, 0)
    prompts, metric = len(manifest.prompts), manifest.encoder.metric
    planned = counters["images"] + 2 * (prompts - counters["comparisons"]) * len(manifest.seeds)
    is_external = study.source == Study.Source.EXTERNAL
    jobs = {state: made.jobs[study.pk, "", state] + made.jobs[study.pk, metric, state] for state in LeasedJob.State}
    return StudyProgress(
        state=study.state,
        comparison_count=prompts,
        planned_image_count=planned,
        image_count=min(planned, made.images[study.pk,]) if study.state in UNFINISHED else planned,
        set_count=2 * prompts,
        scored_set_count=made.scored[study.pk, "" if is_external else metric],
        waiting_job_count=jobs[LeasedJob.State.QUEUED],
        running_job_count=jobs[LeasedJob.State.RUNNING],
        failed_job_count=jobs[LeasedJob.State.FAILED],
        slot_total=counters["wanted"] if counters["comparisons"] else prompts * manifest.annotation.overlap,
        vote_count=counters["votes"],
        held_count=0 if study.is_over else counters["slots"] - counters["votes"],
        complete_count=counters["complete"],
        closed_early_count=counters["early"],
        parked_count=counters["parked"],
        annotator_count=sum(kinds[study.pk, kind] for kind in Annotator.Kind),
        simulated_annotator_count=kinds[study.pk, Annotator.Kind.SIMULATED],
        failures=tuple(_sentences(made, study.pk, "", metric)),
    )


def _sentences(made: _Made, study_id: int, *metrics: str) -> Iterator[str]:
    for metric in metrics:
        for error, count in made.failures.get((study_id, metric), Counter()).items():
            yield error if count == 1 else f"{error} ({count} jobs)"


class _Length(Func):
    """How many values a JSON list holds."""

    function = "JSON_ARRAY_LENGTH"
    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """PostgreSQL keeps JSON as jsonb, and has a name of its own for it."""
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
    # From the sets, since a seed may have been dropped.
    "images": Sum(_Length("image_set_a__seeds") + _Length("image_set_b__seeds"), default=0),
}


def _counters(studies: Sequence[Study]) -> dict[int, Counters]:
    """One look at the comparisons' counters, never at the votes."""
    counts = {f"n_{name}": count for name, count in _COUNTERS.items()}
    rows = _comparisons(studies).values_list("study").annotate(**counts).values_list("study", *counts)
    return {study: dict(zip(_COUNTERS, found, strict=True)) for study, *found in rows}


def _annotator_kinds(studies: Sequence[Study]) -> ByStudy:
    annotators = Annotator.objects.filter(study__in=[study.pk for study in studies]).order_by()
    rows = annotators.values_list("study", "kind").annotate(count=Count("pk"))
    return ByStudy({(study, kind): count for study, kind, count in rows})
