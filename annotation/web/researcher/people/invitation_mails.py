"""Invitations and reminders by e-mail: write them; the worker sends them."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from annotation.models import Study
from annotation.studies.mail.addresses import recipients_in
from annotation.studies.mail.inviting import mail_invitations, remind
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.people.forms import InvitationForm
from annotation.web.researcher.people.invitations import invitations_context
from annotation.web.researcher.people.mail_forms import MailForm, ReminderForm, mails_context
from jobs.refusals import Refused
from jobs.wording import counted


@require_POST
@researcher_page
def mail(request: HttpRequest, slug: str) -> HttpResponse:
    """Write invitations to the pasted addresses, or reminders; the worker sends them."""
    study = get_object_or_404(Study, slug=slug)
    site = request.build_absolute_uri("/").rstrip("/")
    is_reminder = "remind" in request.POST
    form: MailForm | ReminderForm = ReminderForm(request.POST) if is_reminder else MailForm(request.POST)
    if form.is_valid():
        try:
            count = _written(study, form, site, cast(User, request.user))
        except Refused as refusal:
            field, is_named, sentence = str(refusal).partition(": ")
            form.add_error(field if is_named and field in form.fields else None, sentence if is_named else str(refusal))
        else:
            kind = "reminder" if is_reminder else "invitation"
            messages.success(request, f"{counted(count, kind)} written: a worker sends them within a minute or two.")
            return redirect(f"{reverse('make-invitations', args=[slug])}#mail")
    refused: dict[str, Any] = {"reminder": form} if is_reminder else {"form": form}
    context = invitations_context(request, study, InvitationForm()) | mails_context(study, **refused)
    return render(request, "web/researcher/invitations.html", context, status=400)


def _written(study: Study, form: forms.Form, site: str, actor: User) -> int:
    text = {"subject": form.cleaned_data["subject"], "text": form.cleaned_data["message"]}
    common: dict[str, Any] = {"study": study, "site": site, "now": timezone.now(), "actor": actor, **text}
    if isinstance(form, ReminderForm):
        return remind(**common)
    return mail_invitations(people=recipients_in(form.cleaned_data["addresses"]), **common)


urlpatterns: list[URLPattern] = [path("studies/<slug:slug>/invitations/mail/", mail, name="mail-invitations")]
