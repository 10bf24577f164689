"""Find a comparison for an annotator, take a slot of it, lease it with its sides and orders."""

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotation.models import Annotator, Assignment, Comparison
from annotation.voting import slots
from annotation.voting.allocation import present, search_start, stored_chance
from annotation.voting.rules import VotingRules
from generation.models import GeneratedImage

ANSWERED = (Assignment.State.VOTED, Assignment.State.LATE)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an annotator is: main assignments ever made, those answered, the quota, the study's last position."""

    assignment_count: int
    answered_count: int
    quota: int
    last_position: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease to be made: from when, until when, and whether it is ahead of what the annotator sees."""

    now: datetime
    ends_at: datetime
    is_ahead: bool = False


def progress_of(annotator: Annotator, rules: VotingRules) -> Progress:
    """One query. Not part of `lock`'s: after waiting for a lock, PostgreSQL keeps the old view of other tables."""
    main = Assignment.objects.filter(annotator=OuterRef("pk"), kind=Assignment.Kind.MAIN).order_by()
    counts = main.values("annotator").annotate(total=Count("pk"), answered=Count("pk", filter=Q(state__in=ANSWERED)))
    positions = Comparison.objects.filter(study=OuterRef("study")).order_by("-position").values("position")
    assignment_count, answered_count, last_position = (
        Annotator.objects.filter(pk=annotator.pk)
        .values_list(
            Coalesce(Subquery(counts.values("total")), 0),
            Coalesce(Subquery(counts.values("answered")), 0),
            Coalesce(Subquery(positions[:1]), -1, output_field=IntegerField()),
        )
        .get()
    )
    quota = min(rules.comparisons_per_annotator, last_position + 1)
    return Progress(assignment_count, answered_count, quota, last_position)


def unseen(annotator: Annotator) -> QuerySet[Comparison]:
    """The study's comparisons that the annotator has not answered, holds or reported, without those set aside."""
    seen = Assignment.objects.filter(
        comparison=OuterRef("pk"),
        annotator=annotator,
        kind=Assignment.Kind.MAIN,
        state__in=(*ANSWERED, Assignment.State.LEASED, Assignment.State.REPORTED),
    )
    return Comparison.objects.filter(~Exists(seen), study=annotator.study_id, parked_at=None)


def free(annotator: Annotator) -> QuerySet[Comparison]:
    """Those of `unseen` that have a slot left."""
    return unseen(annotator).filter(slot_count__lt=F("overlap"))


def lease_another(
    annotator: Annotator, progress: Progress, hold: Hold, *, is_patient: bool = False
) -> tuple[Assignment, Progress] | None:
    """Lease one more comparison, and the progress with it; None where nothing was found free.

    Unless patient, it skips what others have locked.
    """
    comparison = _take_slot(annotator, progress, is_patient=is_patient)
    return None if comparison is None else _lease(annotator, comparison, progress, hold)


def _take_slot(annotator: Annotator, progress: Progress, *, is_patient: bool) -> Comparison | None:
    """Take a slot of one of the least filled comparisons; which one is drawn from the annotator's seed."""
    open_ones = free(annotator).select_related("prompt")
    least = open_ones.order_by("slot_count", "position").values_list("slot_count", flat=True).first()
    if least is None:
        return None
    start = search_start(stored_chance(annotator.seed, "search", progress.assignment_count), progress.last_position)
    equal = open_ones.filter(slot_count=least).order_by("position")
    if not is_patient:
        equal = equal.select_for_update(no_key=True, skip_locked=True, of=("self",))
    found = equal.filter(position__gte=start).first() or equal.filter(position__lt=start).first()
    return found if found and slots.take(found.pk) else None


def _lease(annotator: Annotator, comparison: Comparison, progress: Progress, hold: Hold) -> tuple[Assignment, Progress]:
    """Lease the comparison: as it was shown before, or with sides and orders of the annotator's next assignment."""
    before = Assignment.objects.filter(comparison=comparison, annotator=annotator, kind=Assignment.Kind.MAIN).first()
    assignment = before or _new_assignment(annotator, comparison, progress.assignment_count)
    assignment.comparison = comparison  # with its prompt, already read
    assignment.state, assignment.is_ahead = Assignment.State.LEASED, hold.is_ahead
    assignment.leased_at, assignment.lease_expires_at = hold.now, hold.ends_at
    assignment.released_at = None
    changed = ["state", "is_ahead", "leased_at", "lease_expires_at", "released_at"]
    assignment.save(update_fields=changed if before else None)
    count = progress.assignment_count + (before is None)
    return assignment, replace(progress, assignment_count=count)


def _new_assignment(annotator: Annotator, comparison: Comparison, index: int) -> Assignment:
    images: dict[int, list[int]] = {comparison.image_set_a_id: [], comparison.image_set_b_id: []}
    rows = GeneratedImage.objects.filter(image_set__in=images).order_by("seed").values_list("image_set_id", "pk")
    for image_set_id, image_id in rows:
        images[image_set_id].append(image_id)
    shown = present(
        seed=annotator.seed,
        index=index,
        images_a=images[comparison.image_set_a_id],
        images_b=images[comparison.image_set_b_id],
    )
    return Assignment(
        comparison=comparison,
        annotator=annotator,
        left_model=shown.left_model,
        left_images=shown.left_images,
        right_images=shown.right_images,
    )
