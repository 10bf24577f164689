"""Reports of images that failed to load or offend: the annotator gets another comparison, the researcher decides."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Assignment, Comparison, ImageReport, StudyEvent
from annotation.voting.assignment import give_back, lock, refuse_unless_taking_part
from annotation.voting.storage.sqlite_queue import in_turn
from generation.models import GeneratedImage
from jobs.refusals import Refused

REPORTERS_THAT_PARK = 3


@in_turn
def report_image(*, assignment: Assignment, image_id: int, kind: str, now: datetime) -> ImageReport:
    """Store the report and release the comparison; its annotator does not get it again.

    Reports of REPORTERS_THAT_PARK annotators set the comparison aside until the researcher gives it out again or sets
    it aside for good. The same report twice counts once. Raises `Refused` for an image that was not shown, and if the
    annotator has left.
    """
    annotator = lock(assignment.annotator_id)
    refuse_unless_taking_part(annotator)
    if image_id not in (*assignment.left_images, *assignment.right_images):
        raise Refused(_("This image is not part of the comparison."))
    report, _is_new = ImageReport.objects.get_or_create(
        assignment=assignment, image_id=image_id, kind=kind, defaults={"reported_at": now}
    )
    give_back(assignment, Assignment.State.REPORTED, now)
    comparison = Comparison.objects.select_for_update(no_key=True).get(pk=_comparison_of(assignment, image_id))
    if comparison.parked_at is None and _reporter_count(comparison) >= REPORTERS_THAT_PARK:
        Comparison.objects.filter(pk=comparison.pk).update(parked_at=now)
    return report


def _comparison_of(assignment: Assignment, image_id: int) -> int:
    """The comparison that the image belongs to. In a pair of known order it may differ from the assignment's."""
    if not assignment.replaced_count:
        return assignment.comparison_id
    own = Comparison.objects.filter(study=assignment.comparison.study_id)
    image_set = GeneratedImage.objects.filter(pk=image_id).values("image_set")
    return own.filter(Q(image_set_a__in=image_set) | Q(image_set_b__in=image_set)).values_list("pk", flat=True)[0]


def _reports_on(comparison: Comparison) -> QuerySet[ImageReport]:
    """The open reports on the comparison's images, in whichever comparison they were shown."""
    sets = (comparison.image_set_a_id, comparison.image_set_b_id)
    return ImageReport.of_study(comparison.study_id).filter(image__image_set__in=sets, settled_at=None)


@in_turn
def give_out_again(*, comparison: Comparison, actor: User | None, now: datetime) -> None:
    """Settle the reports and assign the comparison again, because the researcher accepts its images.

    Annotators who reported it do not get it. Raises `Refused` if it is assigned already.
    """
    parked = Comparison.objects.filter(pk=comparison.pk, parked_at__isnull=False)
    if not parked.update(parked_at=None):
        raise Refused("This comparison is assigned already.")
    _settle(comparison, "comparison given out again", actor, now)


@in_turn
def set_aside(*, comparison: Comparison, actor: User | None, now: datetime) -> None:
    """Set the comparison aside for good, because the researcher agrees with the reports; its votes stay.

    Raises `Refused` if no report waits for an answer, so that no comparison is dropped because of its looks.
    """
    if not _reports_on(comparison).exists():
        raise Refused("No report of this comparison waits for an answer.")
    Comparison.objects.filter(pk=comparison.pk, parked_at=None).update(parked_at=now)
    _settle(comparison, "comparison set aside", actor, now)


def _settle(comparison: Comparison, verb: str, actor: User | None, now: datetime) -> None:
    """Settle all open reports, and write an event about the decision."""
    report_count = _reports_on(comparison).update(settled_at=now)
    detail = {"comparison": comparison.position + 1, "prompt": comparison.prompt.text, "reports": report_count}
    StudyEvent.objects.create(study_id=comparison.study_id, verb=verb, detail=detail, actor=actor)


def _reporter_count(comparison: Comparison) -> int:
    return _reports_on(comparison).order_by().values("assignment__annotator").distinct().count()
