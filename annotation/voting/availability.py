"""Whether a study assigns comparisons now and whether one more annotator can join, with the texts that say why not."""

from datetime import datetime
from enum import StrEnum

from django.db.models import F, OuterRef, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Assignment, Comparison, Study
from annotation.voting.rules import VotingRules
from jobs.refusals import Refused


class Closure(StrEnum):
    """The reason why a study assigns no comparison."""

    NOT_YET_OPEN = "not_yet_open"
    PAUSED = "paused"
    CLOSED = "closed"


def closure(*, study: Study, rules: VotingRules, now: datetime) -> Closure | None:
    """Return the reason why the study assigns no comparison; None if it does."""
    if study.is_over or (rules.closes_at and rules.closes_at <= now):
        return Closure.CLOSED
    if study.state == Study.State.PAUSED:
        return Closure.PAUSED
    if study.state != Study.State.OPEN or (rules.opens_at and now < rules.opens_at):
        return Closure.NOT_YET_OPEN
    return None


def sentence(reason: Closure) -> str:
    """Return the text about the closure for annotators, in the active language."""
    return {
        Closure.NOT_YET_OPEN: _("This study has not opened yet; please come back later with the same link."),
        Closure.PAUSED: _("This study is paused; please come back later with the same link."),
        Closure.CLOSED: _("This study is closed and takes no more votes; thank you."),
    }[reason]


def refuse_half_made(study: Study) -> None:
    """Raise `Refused` for an external study that still lacks comparisons: a file may name prompts without one."""
    if study.source == Study.Source.EXTERNAL and study.state == Study.State.GENERATING:
        raise Refused(f"{study} is still being made; try again in a minute, or run create_study with its file again.")


class NoRoom(StrEnum):
    """The reason why no further annotator can join, or why this one cannot. HELD may end, the others are final."""

    FULL = "study_full"  # every vote that is wanted is cast, or as many annotators as may take part have finished
    HELD = "all_held"  # other annotators hold what is left
    PILOT = "in_pilot"  # they took part in a pilot of the study

    @property
    def words(self) -> str:
        """Return the text for a newcomer, in the active language."""
        if self == NoRoom.FULL:
            return _("This study has everything that it needs, so nothing is left to do. Thank you for coming.")
        if self == NoRoom.PILOT:
            return _("You took part in a pilot of this study, so you cannot take part in the study itself.")
        return _("Others are working on all that is left. Some of it may become free: please come back later.")


class NoRoomLeft(Refused):
    """No further annotator can join, for this reason."""

    def __init__(self, reason: NoRoom) -> None:
        self.reason = reason
        super().__init__(reason.words)


def wanting(study: Study) -> QuerySet[Comparison]:
    """The comparisons that lack votes and are neither decided early nor set aside."""
    return wanting_of(study.pk)


def wanting_of(study_id: "int | OuterRef") -> QuerySet[Comparison]:
    """`wanting` by the study's id, also in a query of studies."""
    return Comparison.objects.filter(study=study_id, vote_count__lt=F("overlap"), parked_at=None, decided_at=None)


def has_all_votes(study: Study) -> bool:
    """Return whether every wanted vote is cast. A comparison that is only leased may become free again."""
    return not wanting(study).exists()


def lack_of_votes_to_give(*, study: Study, now: datetime) -> NoRoom | None:
    """Return why there is no comparison for one more annotator; None if there is one."""
    if has_all_votes(study):
        return NoRoom.FULL
    if wanting(study).filter(slot_count__lt=F("overlap")).exists():
        return None
    # A lease that has ended holds its slot until an annotator asks for a comparison.
    ended = Assignment.objects.filter(
        comparison__in=wanting(study),
        kind=Assignment.Kind.MAIN,
        state=Assignment.State.LEASED,
        lease_expires_at__lte=now,
    )
    return None if ended.exists() else NoRoom.HELD
