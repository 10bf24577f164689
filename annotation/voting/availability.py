"""Whether a study takes votes right now."""

from datetime import datetime
from enum import StrEnum

from django.utils.translation import gettext as _

from annotation.models import Study
from annotation.voting.rules import VotingRules
from jobs.refusals import Refused


class Closure(StrEnum):
    """Why a study gives out no comparison."""

    NOT_YET_OPEN = "not_yet_open"
    PAUSED = "paused"
    CLOSED = "closed"


def closure(*, study: Study, rules: VotingRules, now: datetime) -> Closure | None:
    """Why the study gives out no comparison, or None while it does."""
    if study.is_over or (rules.closes_at and rules.closes_at <= now):
        return Closure.CLOSED
    if study.state == Study.State.PAUSED:
        return Closure.PAUSED
    if study.state != Study.State.OPEN or (rules.opens_at and now < rules.opens_at):
        return Closure.NOT_YET_OPEN
    return None


def sentence(reason: Closure) -> str:
    """What an annotator is told, in the language that is active."""
    return {
        Closure.NOT_YET_OPEN: _("This study has not opened yet; please come back later with the same link."),
        Closure.PAUSED: _("This study is paused; please come back later with the same link."),
        Closure.CLOSED: _("This study is closed and takes no more votes; thank you."),
    }[reason]


def refuse_half_made(study: Study) -> None:
    """Raise `Refused` for an external study that lacks comparisons still: files name prompts that it has not."""
    if study.source == Study.Source.EXTERNAL and study.state == Study.State.GENERATING:
        raise Refused(f"{study} is still being made; try again in a minute, or run create_study with its file again.")
