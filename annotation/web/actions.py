"""What a researcher does to a study, one button each. The lifecycle decides; here are only words and forms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from annotation.models import Study
from annotation.studies import lifecycle
from annotation.web.staff import staff_page
from generation.refusals import Refused

State = Study.State


@dataclass(frozen=True, slots=True)
class Verb:
    """A button: the word in the address, the label, the states that offer it, what was done, what is asked before.

    `is_next_step`: whether a study that offers it waits for nothing else.
    """

    name: str
    label: str | Promise
    states: tuple[str, ...]
    carry_out: Callable[[Study, User], object]
    done: str | Promise
    question: str | Promise = ""
    is_next_step: bool = False


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "launch",
            _("Launch"),
            (State.DRAFT,),
            lambda study, actor: lifecycle.launch(study=study, actor=actor),
            _("Launched: the images are made and scored from here on."),
            is_next_step=True,
        ),
        Verb(
            "open",
            _("Open for votes"),
            (State.READY, State.PAUSED),
            lambda study, actor: lifecycle.open_study(study=study, actor=actor),
            _("Open: invitations lead to comparisons now."),
            is_next_step=True,
        ),
        Verb(
            "pause",
            _("Pause"),
            (State.OPEN,),
            lambda study, actor: lifecycle.pause(study=study, actor=actor),
            _("Paused: annotators are told so, and their places are kept."),
        ),
        Verb(
            "retry",
            _("Retry failed jobs"),
            (State.GENERATING, State.SCORING),
            lambda study, actor: lifecycle.retry_failed(study=study, actor=actor),
            _("The failed jobs are queued again."),
        ),
        Verb(
            "close",
            _("Close"),
            (State.OPEN, State.PAUSED),
            lambda study, actor: lifecycle.close(study=study, actor=actor),
            _("Closed: the report is unsealed."),
            _("Closing ends the voting for good and unseals scores and votes. It cannot be undone."),
        ),
    )
}


def verbs_for(study: Study) -> list[Verb]:
    """The buttons that a study in this state offers, the most likely first."""
    return [verb for verb in VERBS.values() if study.state in verb.states]


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def act(request: HttpRequest, slug: str, verb: str) -> HttpResponse:
    """Carry a verb out and say what came of it. One that asks first needs the answer that its page sends along."""
    study = get_object_or_404(Study, slug=slug)
    if verb not in VERBS:
        raise Http404
    chosen = VERBS[verb]
    if request.method != "POST" or (chosen.question and "confirmed" not in request.POST):
        return render(request, "web/researcher/confirm.html", {"study": study, "verb": chosen})
    try:
        chosen.carry_out(study, cast(User, request.user))
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, str(chosen.done))
    return redirect("study", study.slug)
