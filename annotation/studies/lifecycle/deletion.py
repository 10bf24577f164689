"""Delete a study in which nobody took part.

The study first becomes a draft, on which nothing works, and then loses its rows in slices. If the deletion is
interrupted, another call goes on. The study's history is deleted too, so the log and the admin's log tell what was
deleted.
"""

import logging
from collections.abc import Sequence
from functools import partial

from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet

from annotation.models import Annotator, Answer, Assignment, Comparison, Import, ImportedAssignment, Study, Vote
from annotation.models.annotator import PEOPLE
from annotation.studies.comparisons import comparisons_of, image_sets_of, set_ids
from annotation.studies.imports.similarity_import import scores_by
from annotation.studies.lifecycle.pipeline_jobs import cancel_unused
from annotation.voting.storage.slices import SMALL_ROWS, in_slices
from annotation.voting.storage.sqlite_queue import in_turn
from generation.models import GeneratedImage, ImageSet
from jobs.refusals import Refused
from jobs.wording import counted

logger = logging.getLogger(__name__)
SETS_AT_ONCE = 200


def people_in(study: Study) -> QuerySet[Annotator]:
    """Return the people who took part, without those who were only invited. The cost does not grow with the votes."""
    own = {"annotator": OuterRef("pk")}
    came = Q(kind=Annotator.Kind.OPEN) | Q(welcomed_at__isnull=False) | Q(instructions_read_at__isnull=False)
    came |= Q(withdrawn_at__isnull=False) | Q(Exists(Assignment.objects.filter(**own)))
    came |= Q(Exists(Answer.objects.filter(**own)))
    return study.annotators.filter(came, kind__in=PEOPLE)


def refuse_deletion(study: Study) -> None:
    """Raise Refused if people took part in the study or may be voting now."""
    people = people_in(study).count()
    if people:
        raise Refused(
            f"{study} cannot be deleted: {counted(people, 'person', 'people')} took part. Votes and answers of people "
            "are deleted only when they withdraw."
        )
    if study.state == Study.State.OPEN:
        raise Refused(f"{study} is open, so that people may be voting: pause or close it first.")
    if study.state == Study.State.CLOSING:
        raise Refused(f"{study} is closing at this moment; try again in a minute.")


def deletion_effects(study: Study) -> list[str]:
    """Return a sentence for each kind of row that a deletion removes or keeps."""
    kinds = _votes(study).values_list("assignment__annotator__kind").annotate(count=Count("pk")).order_by()
    votes = [counted(count, f"{kind} vote") for kind, count in kinds]
    invited = study.annotators.filter(kind=Annotator.Kind.PERSONAL).count()
    images = GeneratedImage.objects.filter(image_set__in=image_sets_of(study).values("pk")).count()
    sentences = [
        counted(study.comparisons.count(), "comparison"),
        *votes,
        *(
            [f"{counted(invited, 'invitation')}, whose {'link stops' if invited == 1 else 'links stop'} working"]
            if invited
            else []
        ),
        *([counted(study.imports.count(), "import")] if study.imports.exists() else []),
        f"its manifest, its history of {counted(study.events.count(), 'event')} and its reports",
    ]
    stays = f"{counted(images, 'image')} and their scores stay, for other studies of the same prompts and models"
    return [*sentences, *([stays] if images else [])]


def delete_study(*, study: Study, actor: User | None = None) -> None:
    """Delete the study and its rows. Raises Refused as `refuse_deletion`. If interrupted, call it again."""
    removed = "; ".join(deletion_effects(study))
    _make_draft(study)
    _remove_votes(study)
    _remove_scores(study)
    comparisons = list(study.comparisons.values_list("pk", flat=True))
    in_slices(comparisons, _remove_comparisons, most=SETS_AT_ONCE, least=SETS_AT_ONCE // 4)
    _remove_row(study, removed, actor)


@in_turn
def _make_draft(study: Study) -> None:
    locked = Study.objects.select_for_update().get(pk=study.pk)
    refuse_deletion(locked)
    Study.objects.filter(pk=study.pk).update(state=Study.State.DRAFT, opened_at=None, closed_at=None, erases_at=None)
    Import.objects.filter(study=study).update(process="")  # a running import ends at its next slice


def _votes(study: Study) -> QuerySet[Vote]:
    return Vote.objects.filter(assignment__comparison__study=study)


def _remove_votes(study: Study) -> None:
    assignments = Assignment.objects.filter(comparison__study=study).order_by("pk")
    in_slices(list(assignments.values_list("pk", flat=True)), _remove_assignments, least=SMALL_ROWS)
    in_slices(list(study.annotators.values_list("pk", flat=True)), partial(_delete, Annotator), least=SMALL_ROWS)


def _remove_assignments(assignment_ids: Sequence[int]) -> None:
    Vote.objects.filter(assignment__in=assignment_ids).delete()
    ImportedAssignment.objects.filter(pk__in=assignment_ids).delete()
    Assignment.objects.filter(pk__in=assignment_ids).delete()


def _delete(kind: type[Model], ids: Sequence[int]) -> None:
    kind._default_manager.filter(pk__in=ids).delete()


def _remove_scores(study: Study) -> None:
    """Remove scores and similarities imported for this study, unless another study shows the same image sets."""
    for source in study.imports.exclude(kind=Import.Kind.VOTES):
        rows = source.similarities if source.kind == Import.Kind.SIMILARITIES else source.scores
        elsewhere = comparisons_of(rows.values("image_set")).exclude(study=study)
        own = list(rows.exclude(image_set__in=set_ids(elsewhere)).values_list("pk", flat=True))
        in_slices(own, partial(_remove_rows, source, rows.model), least=SMALL_ROWS)


def _remove_rows(source: Import, kind: type[Model], ids: Sequence[int]) -> None:
    rows = kind._default_manager.filter(pk__in=ids)
    if source.kind == Import.Kind.SIMILARITIES:
        scores_by(source.metric, rows.values("image_set")).delete()
    rows.delete()


def _remove_comparisons(comparison_ids: Sequence[int]) -> None:
    comparisons = Comparison.objects.filter(pk__in=comparison_ids)
    pairs = comparisons.values_list("image_set_a", "image_set_b")
    sets = ImageSet.objects.filter(pk__in={pk for pair in pairs for pk in pair})
    external = list(sets.filter(origin=ImageSet.Origin.EXTERNAL).values_list("pk", flat=True))
    others = list(sets.exclude(pk__in=external))
    comparisons.delete()
    ImageSet.objects.filter(pk__in=external).delete()  # they belong to this study alone
    cancel_unused(others)


@in_turn
def _remove_row(study: Study, removed: str, actor: User | None) -> None:
    message = f"study {study.slug} ({study.manifest_sha256[:12]}) deleted: {removed}"
    if actor is not None:
        LogEntry.objects.create(
            user=actor,
            content_type=ContentType.objects.get_for_model(Study),
            object_id=str(study.pk),
            object_repr=str(study)[:200],
            action_flag=DELETION,
            change_message=message,
        )
    # Check again under the lock: everything that refers to the study is deleted with it.
    refuse_deletion(Study.objects.select_for_update().get(pk=study.pk))
    logger.warning("%s, by %s", message, actor or "a command")
    Study.objects.filter(pk=study.pk).delete()
