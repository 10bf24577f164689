"""The jobs of every kind in one list, and what an admin may do with them: retry, give up, cancel."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, QuerySet, Value

from annotation.models import ReportFileJob, ReportJob, Study, StudyFileJob, UploadJob
from annotation.studies.audit import record
from annotation.studies.comparisons import comparisons_of
from annotation.voting.storage.slices import in_slices
from generation.endpoints.accounts import price_of_jobs
from generation.models import GenerationJob, ImageSet, ModelTrial, without_model
from jobs import claims, messages
from jobs.models import LeasedJob
from jobs.refusals import Refused
from scoring.models import ScoringJob

State = LeasedJob.State
FIRST_ROWS = 10  # of each kind, if no kind is chosen
LONGEST_SUBJECT = 120


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job. related: what a row of the list reads. may_cancel: whether nothing plans such a job again."""

    name: str
    label: str
    model: type[LeasedJob]
    related: tuple[str, ...]
    may_cancel: bool = False

    @property
    def rows(self) -> QuerySet[Any]:
        """All jobs of this kind."""
        return self.model._default_manager.all()


_OF_A_SET = ("image_set__prompt", "image_set__diffusion_model")
KINDS = (
    Kind("images", "Images", GenerationJob, _OF_A_SET),
    Kind("scores", "Scores", ScoringJob, _OF_A_SET),
    Kind("models", "Checks and trials of models", ModelTrial, ("diffusion_model",), may_cancel=True),
    Kind("reports", "Reports", ReportJob, ("study",), may_cancel=True),
    Kind("downloads", "Downloads of reports", ReportFileJob, ("report_job__study",), may_cancel=True),
    Kind("zips", "Images as a zip file", StudyFileJob, ("study",), may_cancel=True),
    Kind("uploads", "Imports of uploads", UploadJob, ("upload__study",)),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the list shows it. studies: whose job it is; an image set may belong to several, or to none.

    Neither subject nor error names the model of an image set until all its studies are closed: they may be sealed.
    """

    kind: Kind
    job: Any
    subject: str
    error: str
    studies: tuple[Study, ...]

    @property
    def worker(self) -> str:
        """The worker that has or had the job; empty if none took it."""
        return str(self.job.claimed_by).rpartition(":")[0]


Counts = dict[tuple[str, str], int]  # by the kind's name and the state
Place = tuple[int, int]  # in the list of a kind and state: the priority and the id of a job


def counts() -> Counts:
    """Return how many jobs of each kind are in each state, with one query."""
    first, *others = (
        kind.rows.order_by().values("state").annotate(kind=Value(kind.name), total=Count("pk")) for kind in KINDS
    )
    rows = first.union(*others, all=True)
    return {(row["kind"], row["state"]): row["total"] for row in rows}


def rows_of(kind: Kind, state: str) -> QuerySet[Any]:
    """Return the jobs of a kind in a state, in the order in which that state's list is read."""
    # Both are the order of the index of claiming, forwards and backwards: a page of a million jobs reads only its rows.
    order = ("-priority", "pk") if state == State.QUEUED else ("priority", "-pk")
    return kind.rows.filter(state=state).select_related(*kind.related).order_by(*order)


def page_after(kind: Kind, state: str, after: Place | None, size: int) -> tuple[list[Any], Place | None]:
    """Return the jobs of a kind that stand after a place in its list, and the place of the next page, if there is one.

    A place is the priority and the id of a page's last job: unlike a number of a page, it is found by the index, so the
    last page of a million jobs costs as much as the first.
    """
    rows = rows_of(kind, state)
    if after is None:
        found = list(rows[: size + 1])
    else:
        priority, pk = after
        is_down = state == State.QUEUED
        same = rows.filter(priority=priority, **{"pk__gt" if is_down else "pk__lt": pk})
        others = rows.filter(**{"priority__lt" if is_down else "priority__gt": priority})
        found = list(same[: size + 1])
        found += others[: size + 1 - len(found)] if len(found) <= size else []
    last = found[size - 1] if len(found) > size else None
    return found[:size], (last.priority, last.pk) if last else None


def described(found: Iterable[tuple[Kind, Any]]) -> list[JobRow]:
    """Return the rows of the list, with one query for the studies of all their image sets."""
    pairs = list(found)
    studies = _studies_by_set({job.image_set_id for _kind, job in pairs if hasattr(job, "image_set_id")})
    return [_row(kind, job, _studies(job, studies)) for kind, job in pairs]


def _row(kind: Kind, job: Any, studies: tuple[Study, ...]) -> JobRow:
    is_blind = hasattr(job, "image_set_id") and not all(study.state == Study.State.CLOSED for study in studies)
    error = without_model(job.error, job.image_set.diffusion_model.name) if is_blind else job.error
    return JobRow(kind, job, shorten(_subject(job, is_blind)), error, studies)


def shorten(subject: str) -> str:
    """Return the beginning of a long subject."""
    return subject if len(subject) <= LONGEST_SUBJECT else f"{subject[: LONGEST_SUBJECT - 1]}…"


def _subject(job: Any, is_blind: bool) -> str:
    match job:
        case GenerationJob():
            model = "" if is_blind else f"{job.image_set.diffusion_model}, "
            return f"{model}{len(job.seeds)} of “{job.image_set.prompt}”"
        case ScoringJob():
            model = "" if is_blind else f"{job.image_set.diffusion_model}, "
            return f"{job.metric} of {model}“{job.image_set.prompt}”"
        case ModelTrial():
            return f"{'One image of' if job.parameters else 'Check of'} {job.diffusion_model}"
        case ReportJob():
            return f"{job.metric}{f', {job.pair}' if job.pair else ''}"
        case ReportFileJob():
            return f"{job.name} of the report by {job.report_job.metric}"
        case UploadJob():
            return f"{job.upload.get_kind_display()}: {job.upload.name}"
        case _:
            return "All images of the study"


def _studies(job: Any, by_set: dict[int, tuple[Study, ...]]) -> tuple[Study, ...]:
    match job:
        case GenerationJob() | ScoringJob():
            return by_set.get(job.image_set_id, ())
        case ReportJob() | StudyFileJob():
            return (job.study,)
        case ReportFileJob():
            return (job.report_job.study,)
        case UploadJob():
            return (job.upload.study,)
        case _:
            return ()


def _studies_by_set(set_ids: set[int]) -> dict[int, tuple[Study, ...]]:
    if not set_ids:
        return {}
    of_sets = comparisons_of(ImageSet.objects.filter(pk__in=set_ids)).order_by("study")
    found: dict[int, dict[int, Study]] = {}
    for comparison in of_sets.select_related("study").only("image_set_a", "image_set_b", "study"):
        for set_id in {comparison.image_set_a_id, comparison.image_set_b_id} & set_ids:
            found.setdefault(set_id, {})[comparison.study_id] = comparison.study
    return {set_id: tuple(studies.values()) for set_id, studies in found.items()}


# --- what an admin may do -------------------------------------------------------------------------
def price_of_retrying(kind: Kind, ids: list[int] | None) -> str:
    """Return in a sentence what retrying the failed jobs (of these ids; None: all) may cost; empty if nothing."""
    if kind.model is not GenerationJob:
        return ""
    return price_of_jobs(_chosen(kind, ids).filter(state=State.FAILED))


def retry(kind: Kind, ids: list[int] | None, *, actor: User) -> int:
    """Queue the failed jobs again, and return how many."""
    failed = list(_chosen(kind, ids).filter(state=State.FAILED).order_by("pk").values_list("pk", flat=True))
    count = sum(in_slices(failed, lambda some: claims.retry(kind.rows.filter(pk__in=some))))
    messages.enqueue(kind.rows.filter(pk__in=failed[: claims.MESSAGES_AT_ONCE]))  # the tick sends the others
    return _noted("jobs retried", kind, count, actor)


def give_up(kind: Kind, ids: list[int] | None, *, actor: User) -> int:
    """Cancel the failed jobs, and return how many. A study that still needs one plans it again."""
    return _noted("jobs given up", kind, claims.give_up(_chosen(kind, ids)), actor)


def cancel(kind: Kind, ids: list[int] | None, *, actor: User) -> int:
    """Cancel queued jobs, and ask running ones to stop; return how many. Refused for jobs that a study plans again."""
    if not kind.may_cancel:
        raise Refused(f"{kind.label}: not cancelled here, because the study that needs such a job would plan it again.")
    return _noted("jobs cancelled", kind, claims.cancel(_chosen(kind, ids)), actor)


def _noted(verb: str, kind: Kind, count: int, actor: User) -> int:
    if count:
        record(verb, actor=actor, kind=kind.label, count=count)
    return count


def _chosen(kind: Kind, ids: list[int] | None) -> QuerySet[Any]:
    return kind.rows if ids is None else kind.rows.filter(pk__in=ids)
