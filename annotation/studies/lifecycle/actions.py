"""The actions that staff can take on a study, as buttons of the researcher's page and of the admin.

The button is only an offer: `transitions` decides whether the action is possible.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.models import Study
from annotation.studies.lifecycle import pipeline_jobs, transitions
from annotation.studies.lifecycle.creation import Actor
from annotation.studies.lifecycle.endpoint_facts import price_of_retrying
from jobs.refusals import Refused

State = Study.State


@dataclass(frozen=True, slots=True)
class Action:
    """A button. `name` is the word in the address, `states` are the states in which a study offers the action.

    `carry_out` takes `study` and `actor`. `done` is the message afterwards, `question` is asked before; `ask` makes one
    of a study, which may be empty. `is_next_step`: whether a study that offers the action waits for nothing else.
    `is_wanted`: whether it has anything to do now.
    """

    name: str
    label: str | Promise
    states: tuple[str, ...]
    carry_out: Callable[..., object]
    done: str | Promise
    question: str | Promise = ""
    ask: Callable[[Study], str] | None = None
    is_next_step: bool = False
    is_wanted: Callable[[Study], bool] = lambda _study: True


def _launch(*, study: Study, actor: Actor) -> None:
    if not transitions.launch(study=study, actor=actor):
        raise Refused(f"{study} is {study.state}: it was launched already, and nothing was done.")


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "launch",
            _("Launch"),
            (State.DRAFT,),
            _launch,
            _("Launched: from here on a worker completes the sets and scores them."),
            is_next_step=True,
        ),
        Action(
            "open",
            _("Open for votes"),
            (State.READY, State.PAUSED),
            transitions.open_study,
            _("Open: invitations lead to comparisons now."),
            is_next_step=True,
        ),
        Action(
            "pause",
            _("Pause"),
            (State.OPEN,),
            transitions.pause,
            _("Paused: annotators are told so, and their places are kept."),
        ),
        Action(
            "retry",
            _("Retry failed jobs"),
            (State.GENERATING, State.SCORING),
            transitions.retry_failed,
            _("The failed jobs are queued again."),
            ask=price_of_retrying,
            is_wanted=pipeline_jobs.has_failed_jobs,
        ),
        Action(
            "close",
            _("Close"),
            (State.READY, State.OPEN, State.PAUSED),
            transitions.close,
            _("The voting has ended. The report is unsealed once the study is closed."),
            _("Closing ends the voting for good and unseals scores and votes. It cannot be undone."),
        ),
    )
}


def actions_for(study: Study) -> list[Action]:
    """Return the actions that a study offers in its state, the most likely first."""
    wanted = (action for action in ACTIONS.values() if study.state in action.states and action.is_wanted(study))
    return [asked(action, study) for action in wanted]


def asked(action: Action, study: Study) -> Action:
    """Return the action with its question about this study."""
    return replace(action, question=action.ask(study)) if action.ask else action
