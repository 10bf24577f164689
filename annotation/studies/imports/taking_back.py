"""Take back an import of votes or scores: say what depends on it, remove it in slices, record an event."""

from collections.abc import Iterator

from django.contrib.auth.models import User
from django.db.models import QuerySet

from annotation.models import Annotator, Import, ImportedAssignment, Study, StudyEvent
from annotation.studies.comparisons import comparisons_of
from annotation.studies.current import current_manifest
from annotation.studies.imports.score_import import remove_scores
from annotation.voting.imports import import_runs
from annotation.voting.imports.imported_rows import remove_votes
from jobs.wording import counted


def removal_effects(source: Import) -> list[str]:
    """Return sentences on what taking back the import removes and changes."""
    sentences = _votes_that_go(source) if source.kind == Import.Kind.VOTES else _scores_that_go(source)
    return [*sentences, *_afterwards(source.study, source)]


def take_back(*, source: Import, actor: User | None = None) -> None:
    """Remove everything that the import stored, then the import itself; the study's history keeps an event.

    If it is interrupted, the import stays unfinished, and another call completes the removal. Raises Refused if another
    import of the study is unfinished, or if this one was already taken back.
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
    """Return the other studies whose image sets have scores of this import."""
    scored = comparisons_of(source.scores.values("image_set"))
    return Study.objects.filter(pk__in=scored.values("study")).exclude(pk=source.study_id).order_by("pk")


def _detail(source: Import) -> dict[str, object]:
    rows = "votes" if source.kind == Import.Kind.VOTES else "comparisons"
    metric = {"metric": source.metric} if source.metric else {}
    return {"file": source.file_name, "sha256": source.sha256, **metric, rows: source.row_count}


def _votes_that_go(source: Import) -> list[str]:
    rows = ImportedAssignment.objects.filter(source=source)
    annotators = rows.values("assignment__annotator")
    votes = rows.filter(assignment__votes__isnull=False).count()
    with_others = Annotator.objects.filter(pk__in=annotators).filter(
        assignments__in=ImportedAssignment.objects.exclude(source=source).values("assignment")
    )
    count = annotators.distinct().count()
    without = count - with_others.distinct().count()
    return [f"{counted(votes, 'vote')} of {counted(count, 'imported annotator')}"] + (
        [f"{counted(without, 'annotator')} who then {'has' if without == 1 else 'have'} no votes"] if without else []
    )


def _scores_that_go(source: Import) -> list[str]:
    own = comparisons_of(source.scores.values("image_set")).filter(study=source.study).count()
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
