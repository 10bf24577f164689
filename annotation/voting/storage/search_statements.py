"""What the search for a comparison asks the database, compiled once (see `prepared`)."""

from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Abs, Coalesce
from django.db.models.lookups import IsNull

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.voting.rules import Allocation
from annotation.voting.storage.prepared import Given, Insert, Select, Update, given
from generation.models import GeneratedImage, ImageSet

# Which free comparisons come first; equal ones are searched from a drawn position on.
ORDERS: dict[Allocation, tuple[str, ...]] = {
    "even": ("slot_count",),
    "nearly_done": ("-slot_count",),
    "split": ("margin", "slot_count"),
}
ANSWERED = (Assignment.State.VOTED, Assignment.State.LATE)


def unseen(annotator: int | Given, study: int | Given) -> QuerySet[Comparison]:
    """The study's comparisons that the annotator has not answered, holds or reported, without those set aside or
    decided."""
    seen = Assignment.objects.filter(
        comparison=OuterRef("pk"),
        annotator=annotator,
        kind=Assignment.Kind.MAIN,
        state__in=(*ANSWERED, Assignment.State.LEASED, Assignment.State.REPORTED),
    )
    # Not ~Exists: PostgreSQL may join for that, and then reads all that the annotator has seen.
    is_unseen = IsNull(Subquery(seen.order_by().values("pk")[:1]), True)
    return Comparison.objects.filter(is_unseen, study=study, parked_at=None, decided_at=None)


def free(annotator: int | Given, study: int | Given) -> QuerySet[Comparison]:
    """Those of `unseen` that have a slot left."""
    return unseen(annotator, study).filter(slot_count__lt=F("overlap"))


def _progress() -> QuerySet[Annotator, Any]:
    """Main assignments, those with A on the left, those answered; the study's last position."""
    main = Q(assignments__kind=Assignment.Kind.MAIN)
    conditions = {
        "total": main,
        "lefts": main & Q(assignments__left_model=Assignment.Side.A),
        "answered": main & Q(assignments__state__in=ANSWERED),
    }
    counts = {name: Count("assignments", filter=condition) for name, condition in conditions.items()}
    # By the study that is given, not the annotator's by a join: it would be looked up for each assignment.
    of_study = Comparison.objects.filter(study=given("study", Study.id))
    positions = of_study.order_by("-position").values("position")
    last = Coalesce(Subquery(positions[:1]), -1, output_field=IntegerField())
    this = Annotator.objects.filter(pk=given("annotator", Annotator.id)).order_by().values("pk")
    return this.annotate(**counts).values_list(*counts, last)


def _open_ones(allocation: Allocation) -> QuerySet[Comparison]:
    open_ones = free(given("annotator", Annotator.id), given("study", Study.id))
    if allocation == "split":
        open_ones = open_ones.filter(lead__isnull=False).annotate(margin=Abs("lead"))
    return open_ones


def _preferred(allocation: Allocation, *, is_patient: bool, is_from_start: bool) -> Select[Comparison]:
    """Of the free comparisons equal to the one that comes first: the first from `start` on, or before it."""
    start = given("start", Comparison.position)

    def build() -> QuerySet[Comparison]:
        first = _open_ones(allocation).order_by(*ORDERS[allocation], "position")
        keys = (key.removeprefix("-") for key in ORDERS[allocation])
        equal = _open_ones(allocation).filter(**{key: Subquery(first.values(key)[:1]) for key in keys})
        part = equal.filter(position__gte=start) if is_from_start else equal.filter(position__lt=start)
        if not is_patient:
            part = part.select_for_update(no_key=True, skip_locked=True, of=("self",))
        return part.select_related("prompt").order_by("position")[:1]

    return Select(build)


PROGRESS = Select(_progress)
PREFERRED = {
    (allocation, is_patient): [
        _preferred(allocation, is_patient=is_patient, is_from_start=is_from_start) for is_from_start in (True, False)
    ]
    for allocation in ORDERS
    for is_patient in (True, False)
}
BEFORE = Select(
    lambda: Assignment.objects.filter(
        comparison=given("comparison", Comparison.id),
        annotator=given("annotator", Annotator.id),
        kind=Assignment.Kind.MAIN,
    ).order_by()
)
IMAGES = Select(
    lambda: (
        GeneratedImage.objects.filter(
            Q(image_set=given("set_a", ImageSet.id)) | Q(image_set=given("set_b", ImageSet.id))
        )
        .order_by("seed")
        .values_list("image_set_id", "pk")
    )
)
MAKE = Insert(Assignment)
REOPEN = Update(
    lambda: (
        Assignment.objects.filter(pk=given("assignment", Assignment.id)),
        {
            "state": Assignment.State.LEASED,
            "is_ahead": given("is_ahead", Assignment.is_ahead),
            "leased_at": given("leased_at", Assignment.leased_at),
            "lease_expires_at": given("ends_at", Assignment.lease_expires_at),
            "released_at": None,
        },
    )
)
