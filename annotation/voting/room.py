"""Whether a study still has room for one more annotator, and why not."""

from datetime import datetime
from enum import StrEnum

from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Assignment, Comparison, Study
from jobs.refusals import Refused


class NoRoom(StrEnum):
    """Why nobody more is let in. FULL is final; what is HELD may come back."""

    FULL = "study_full"  # every vote that is wanted stands, or everybody who may take part has finished
    HELD = "all_held"  # what is left is with others now

    @property
    def words(self) -> str:
        """What somebody who comes is told, in the language that is active."""
        if self == NoRoom.FULL:
            return _("This study has everything that it needs, so nothing is left to do. Thank you for coming.")
        return _("Others are working on all that is left. Some of it may become free: please come back later.")


class NoRoomLeft(Refused):
    """Nobody more is let in, for this reason."""

    def __init__(self, reason: NoRoom) -> None:
        self.reason = reason
        super().__init__(reason.words)


def wanting(study: Study) -> QuerySet[Comparison]:
    """The comparisons that lack votes: neither complete nor closed early nor set aside."""
    return Comparison.objects.filter(study=study, vote_count__lt=F("overlap"), parked_at=None, decided_at=None)


def has_all_votes(study: Study) -> bool:
    """Whether every vote that the study wants stands. What is only held by others may still come back."""
    return not wanting(study).exists()


def lack_of_votes_to_give(*, study: Study, now: datetime) -> NoRoom | None:
    """Why there is no comparison for one more annotator, or None while there is one."""
    if has_all_votes(study):
        return NoRoom.FULL
    if wanting(study).filter(slot_count__lt=F("overlap")).exists():
        return None
    # A lease that has ended still counts as a slot until somebody asks for a comparison.
    ended = Assignment.objects.filter(
        comparison__in=wanting(study),
        kind=Assignment.Kind.MAIN,
        state=Assignment.State.LEASED,
        lease_expires_at__lte=now,
    )
    return None if ended.exists() else NoRoom.HELD
