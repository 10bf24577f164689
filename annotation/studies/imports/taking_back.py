"""Take back an imported file: say what depends on it, remove it in slices, record an event."""

from collections.abc import Callable, Collection, Iterator

from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, QuerySet

from annotation.models import Annotator, Import, Study, StudyEvent, Vote
from annotation.studies.comparisons import comparisons_of
from annotation.studies.current import current_manifest
from annotation.studies.imports.score_import import remove_scores
from annotation.studies.imports.shared_rows import brought_alone
from annotation.studies.imports.similarity_import import remove_similarities, scores_by
from annotation.voting.imports import import_runs
from annotation.voting.imports.imported_rows import remove_votes
from annotation.voting.imports.shared_votes import brought_by_others, votes_of
from generation.models import ImageSet
from jobs.wording import counted


def removal_effects(source: Import) -> list[str]:
    """Return sentences on what taking back the import removes and changes, and on what stays."""
    sentences = _EFFECTS[Import.Kind(source.kind)](source)
    return [*sentences, *_afterwards(source.study, source)]


def take_back(*, source: Import, actor: User | None = None) -> None:
    """Remove what this import alone stored, then the import itself; the study's history keeps an event.

    If it is interrupted, the import stays unfinished, and another call completes the removal. Raises Refused if another
    import of the study is unfinished, or if this one was already taken back.
    """
    source = import_runs.reopen(source)
    if not source.removal:
        studies = [study.pk for study in (source.study, *other_studies(source))]
        source.removal = {"detail": _detail(source), "studies": studies}
        import_runs.note_removal(source, source.removal)
    events = [
        StudyEvent(study=study, verb=f"{source.kind} taken back", detail=source.removal["detail"], actor=actor)
        for study in Study.objects.filter(pk__in=source.removal["studies"]).order_by("pk")
    ]
    if source.kind == Import.Kind.VOTES:
        remove_votes(source, least_overlap=current_manifest(source.study).annotation.overlap)
    elif source.kind == Import.Kind.SCORES:
        remove_scores(source)
    else:
        remove_similarities(source)
    import_runs.forget(source, events=events)


def other_studies(source: Import) -> QuerySet[Study]:
    """Return the other studies whose image sets lose scores or similarities with this import."""
    if source.kind == Import.Kind.VOTES:
        return Study.objects.none()
    changed = comparisons_of(brought_alone(source).values("image_set"))
    return Study.objects.filter(pk__in=changed.values("study")).exclude(pk=source.study_id).order_by("pk")


def _detail(source: Import) -> dict[str, object]:
    staying = _staying_count(source)
    detail: dict[str, object] = {"file": source.file_name, "sha256": source.sha256}
    if source.metric:
        detail["similarities" if source.kind == Import.Kind.SIMILARITIES else "metric"] = source.metric
    detail[ROWS[Import.Kind(source.kind)]] = source.row_count - staying
    return detail | ({"also_in_another_import_and_so_kept": staying} if staying else {})


def _staying_count(source: Import) -> int:
    """Return how many rows stay because another import brought them too: votes, comparisons or sets."""
    if source.kind == Import.Kind.VOTES:
        return brought_by_others(source).count()
    rows = source.similarities if source.kind == Import.Kind.SIMILARITIES else source.scores
    whole, going = (set(one.values_list("image_set", flat=True)) for one in (rows.all(), brought_alone(source)))
    return len(whole - going) if source.kind == Import.Kind.SIMILARITIES else _own(source, whole - going)


def _own(source: Import, sets: Collection[int]) -> int:
    """Return how many comparisons of the import's study have one of the sets."""
    return comparisons_of(ImageSet.objects.filter(pk__in=sets)).filter(study=source.study).count()


def _votes_that_go(source: Import) -> list[str]:
    going, staying = votes_of(source), _staying_count(source)
    annotators = Annotator.objects.filter(assignments__votes__in=going.values("pk")).distinct()
    others = Vote.objects.filter(assignment__annotator=OuterRef("pk")).exclude(pk__in=going.values("pk"))
    count, without = annotators.count(), annotators.filter(~Exists(others)).count()
    return [
        f"{counted(going.count(), 'vote')} of {counted(count, 'imported annotator')}",
        *(
            [f"{counted(without, 'annotator')} who then {'has' if without == 1 else 'have'} no votes"]
            if without
            else []
        ),
        *_staying(staying, "vote"),
    ]


def _scores_that_go(source: Import) -> list[str]:
    own = _own(source, list(brought_alone(source).values_list("image_set", flat=True)))
    return [
        f"scores of {counted(own, 'comparison')} by {source.metric}",
        *(f"the same scores in the study {one.slug}, which shows the same image sets" for one in other_studies(source)),
        *_staying(_staying_count(source), "comparison"),
    ]


def _similarities_that_go(source: Import) -> list[str]:
    going = brought_alone(source)
    scores = scores_by(source.metric, going.values("image_set")).order_by()
    by_metric = scores.values_list("metric").annotate(count=Count("pk")).order_by("metric")
    return [
        f"similarities of {counted(going.count(), 'set')} under {source.metric}",
        *(f"{counted(count, 'score')} by {metric}, computed from them" for metric, count in by_metric),
        *(
            f"the same similarities and scores in the study {one.slug}, which shows the same image sets"
            for one in other_studies(source)
        ),
        *_staying(_staying_count(source), "set"),
    ]


def _staying(count: int, what: str) -> list[str]:
    """Return a sentence on what another import brought too."""
    stay = "stays" if count == 1 else "stay"
    return [f"{counted(count, what)} {stay}, since another import has the same"] if count else []


def _afterwards(study: Study, source: Import) -> Iterator[str]:
    if study.report_jobs.exists():
        yield "the report changes: it is made again when its page is next opened"
    takes_more = study.source == Study.Source.EXTERNAL or source.kind != Import.Kind.VOTES or not study.is_over
    if not takes_more:
        yield "the study is closed and takes no votes any more: these cannot be imported again"


ROWS = {Import.Kind.VOTES: "votes", Import.Kind.SCORES: "comparisons", Import.Kind.SIMILARITIES: "sets"}
_EFFECTS: dict[Import.Kind, Callable[[Import], list[str]]] = {
    Import.Kind.VOTES: _votes_that_go,
    Import.Kind.SCORES: _scores_that_go,
    Import.Kind.SIMILARITIES: _similarities_that_go,
}
