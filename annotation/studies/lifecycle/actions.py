"""The buttons of the researcher's page and of the admin: what staff can do to a study. The lifecycle decides."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.models import Study
from annotation.studies.lifecycle import pipeline_jobs, transitions
from annotation.studies.lifecycle.creation import Actor
from jobs.refusals import Refused

State = Study.State


@dataclass(frozen=True, slots=True)
class Verb:
    """A button: the word in the address, the label, the states that offer it, what was done, what is asked before.

    `carry_out` takes `study` and `actor`. `is_next_step`: whether a study that offers it waits for nothing else.
    `is_wanted`: whether there is anything to do for it in one of its states.
    """

    name: str
    label: str | Promise
    states: tuple[str, ...]
    carry_out: Callable[..., object]
    done: str | Promise
    question: str | Promise = ""
    is_next_step: bool = False
    is_wanted: Callable[[Study], bool] = lambda _study: True


def _launch(*, study: Study, actor: Actor) -> None:
    if not transitions.launch(study=study, actor=actor):
        raise Refused(f"{study} is {study.state}: it was launched already, and nothing was done.")


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "launch",
            _("Launch"),
            (State.DRAFT,),
            _launch,
            _("Launched: from here on a worker completes the sets and scores them."),
            is_next_step=True,
        ),
        Verb(
            "open",
            _("Open for votes"),
            (State.READY, State.PAUSED),
            transitions.open_study,
            _("Open: invitations lead to comparisons now."),
            is_next_step=True,
        ),
        Verb(
            "pause",
            _("Pause"),
            (State.OPEN,),
            transitions.pause,
            _("Paused: annotators are told so, and their places are kept."),
        ),
        Verb(
            "retry",
            _("Retry failed jobs"),
            (State.GENERATING, State.SCORING),
            transitions.retry_failed,
            _("The failed jobs are queued again."),
            is_wanted=pipeline_jobs.has_failed_jobs,
        ),
        Verb(
            "close",
            _("Close"),
            (State.READY, State.OPEN, State.PAUSED),
            transitions.close,
            _("Closed: the voting has ended, and the report is unsealed once every annotator is judged."),
            _("Closing ends the voting for good and unseals scores and votes. It cannot be undone."),
        ),
    )
}


def verbs_for(study: Study) -> list[Verb]:
    """The buttons that a study in this state offers, the most likely first."""
    return [verb for verb in VERBS.values() if study.state in verb.states and verb.is_wanted(study)]
