"""Take an import of votes or scores back: what depends on it, and its removal, in slices, with an event."""

from collections.abc import Iterator

from django.contrib.auth.models import User
from django.db.models import QuerySet

from annotation.models import Annotator, Comparison, Import, ImportedAssignment, Study, StudyEvent
from annotation.studies.comparisons import comparisons_of
from annotation.studies.current import current_manifest
from annotation.studies.imports.score_import import remove_scores
from annotation.voting.imports import import_runs
from annotation.voting.imports.imported_rows import remove_votes
from jobs.wording import counted


def what_goes(source: Import) -> list[str]:
    """What taking the import back removes and changes, a sentence each."""
    sentences = _votes_that_go(source) if source.kind == Import.Kind.VOTES else _scores_that_go(source)
    return [*sentences, *_afterwards(source.study, source)]


def take_back(*, source: Import, actor: User | None = None) -> None:
    """Remove everything that came from the import, and then the import; the study's history keeps an event.

    Stopped half-way the study is as if the import were unfinished: the same again completes it. Raises Refused while
    another import of the study is unfinished, and if this one was taken back already.
    """
    source = import_runs.reopen(source)
    events = [
        StudyEvent(study=study, verb=f"{source.kind} taken back", detail=_detail(source), actor=actor)
        for study in (source.study, *other_studies(source))
    ]
    if source.kind == Import.Kind.VOTES:
        remove_votes(source, least_overlap=current_manifest(source.study).annotation.overlap)
    else:
        remove_scores(source)
    import_runs.forget(source, events=events)


def other_studies(source: Import) -> QuerySet[Study]:
    """The other studies whose image sets have scores of this import."""
    return Study.objects.filter(pk__in=_scored(source).values("study")).exclude(pk=source.study_id).order_by("pk")


def _scored(source: Import) -> QuerySet[Comparison]:
    """The comparisons, of any study, whose image sets have scores of this import."""
    return comparisons_of(source.scores.values("image_set"))


def _detail(source: Import) -> dict[str, object]:
    rows = "votes" if source.kind == Import.Kind.VOTES else "comparisons"
    metric = {"metric": source.metric} if source.metric else {}
    return {"file": source.file_name, "sha256": source.sha256, **metric, rows: source.row_count}


def _votes_that_go(source: Import) -> list[str]:
    rows = ImportedAssignment.objects.filter(source=source)
    whose = rows.values("assignment__annotator")
    votes = rows.filter(assignment__votes__isnull=False).count()
    staying = Annotator.objects.filter(pk__in=whose).filter(
        assignments__in=ImportedAssignment.objects.exclude(source=source).values("assignment")
    )
    without = whose.distinct().count() - staying.distinct().count()
    return [f"{counted(votes, 'vote')} of {counted(whose.distinct().count(), 'imported annotator')}"] + (
        [f"{counted(without, 'annotator')} who then {'has' if without == 1 else 'have'} no votes"] if without else []
    )


def _scores_that_go(source: Import) -> list[str]:
    own = _scored(source).filter(study=source.study).count()
    sentences = [f"scores of {counted(own, 'comparison')} by {source.metric}"]
    return sentences + [
        f"the same scores in the study {other.slug}, which shows the same image sets" for other in other_studies(source)
    ]


def _afterwards(study: Study, source: Import) -> Iterator[str]:
    if study.report_jobs.exists():
        yield "the report changes: it is made again when its page is next opened"
    takes_more = study.source == Study.Source.EXTERNAL or source.kind == Import.Kind.SCORES or not study.is_over
    if not takes_more:
        yield "the study is closed and takes no votes any more: these cannot be imported again"
