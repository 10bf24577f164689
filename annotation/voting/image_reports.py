"""An image that failed or offends: report it, give the slot back, set the comparison aside for the researcher."""

from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Assignment, Comparison, ImageReport
from annotation.voting.assignment import give_back, lock, refuse_unless_taking_part
from annotation.voting.turns import in_turn
from generation.models import GeneratedImage
from generation.refusals import Refused

REPORTERS_THAT_PARK = 3


@in_turn
def report_image(*, assignment: Assignment, image_id: int, kind: str, now: datetime) -> ImageReport:
    """Keep the report, and give the comparison back; its annotator does not get it again.

    Reports of REPORTERS_THAT_PARK annotators set the comparison aside until `give_out_again`. The same
    report twice is one. Raises `Refused` for an image that was not shown, and when the annotator has left.
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
    """The comparison that the image belongs to: in a pair of known order it may be another than the assignment's."""
    if not assignment.replaced_count:
        return assignment.comparison_id
    own = Comparison.objects.filter(study=assignment.comparison.study_id)
    image_set = GeneratedImage.objects.filter(pk=image_id).values("image_set")
    return own.filter(Q(image_set_a__in=image_set) | Q(image_set_b__in=image_set)).values_list("pk", flat=True)[0]


def _reports_on(comparison: Comparison) -> QuerySet[ImageReport]:
    """The open reports on the comparison's images, wherever they were shown."""
    of_sets = Q(image__image_set__in=(comparison.image_set_a_id, comparison.image_set_b_id))
    of_study = Q(assignment__comparison__study=comparison.study_id)
    return ImageReport.objects.filter(of_sets & of_study, settled_at=None)


def _reporter_count(comparison: Comparison) -> int:
    open_reports = _reports_on(comparison)
    return open_reports.order_by().values("assignment__annotator").distinct().count()


@in_turn
def give_out_again(*, comparison: Comparison, now: datetime) -> bool:
    """The researcher has looked: its reports are settled and it is given out again; False when it was not set aside."""
    parked = Comparison.objects.filter(pk=comparison.pk, parked_at__isnull=False)
    if not parked.update(parked_at=None):
        return False
    _reports_on(comparison).update(settled_at=now)
    return True
