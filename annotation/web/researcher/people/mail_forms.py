"""The forms of invitations and reminders by e-mail, and the list of the mails with their states."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from annotation.models import InvitationMail, Study
from annotation.studies.mail import templates
from annotation.studies.mail.inviting import to_remind
from annotation.studies.mail.usual import Kind, usual_mail

MOST_SHOWN = 50
LONGEST_LIST = 200_000
ADDRESSES = "One a line: name@example.org, or Ada <name@example.org>. Each person gets a link of their own."
PLACES = "Places: " + ", ".join(f"{{{name}}} {meaning}" for name, meaning in templates.PLACES.items()) + "."
Text = forms.Textarea


class MailForm(forms.Form):
    """The people to invite, and the mail."""

    addresses = forms.CharField(
        label="Addresses", max_length=LONGEST_LIST, help_text=ADDRESSES, widget=Text(attrs={"rows": 5})
    )
    subject = forms.CharField(label="Subject", max_length=templates.LONGEST_SUBJECT)
    message = forms.CharField(
        label="Message",
        max_length=templates.LONGEST_TEXT,
        help_text=PLACES,
        widget=Text(attrs={"rows": 9}),
    )


class ReminderForm(forms.Form):
    """The mail that reminds."""

    prefix = "reminder"
    subject = forms.CharField(label="Subject", max_length=templates.LONGEST_SUBJECT)
    message = forms.CharField(
        label="Message",
        max_length=templates.LONGEST_TEXT,
        help_text=PLACES,
        widget=Text(attrs={"rows": 7}),
    )


def mails_context(study: Study, form: MailForm | None = None, reminder: ReminderForm | None = None) -> dict[str, Any]:
    """Return what the page shows about mails, with three queries. A form that was refused comes with its faults."""
    mails = mails_of(study)
    return {
        "mail_form": form or MailForm(initial=_usual(study, Kind.INVITATION)),
        "reminder_form": reminder or ReminderForm(initial=_usual(study, Kind.REMINDER)),
        "mails": mails[:MOST_SHOWN],
        "mail_count": mails.count(),
        "remindable_count": to_remind(study, timezone.now()).count() if study.state == Study.State.OPEN else 0,
    }


def _usual(study: Study, kind: str) -> dict[str, str]:
    subject, message = usual_mail(study, kind)
    return {"subject": subject, "message": message}


def mails_of(study: Study) -> QuerySet[InvitationMail]:
    """Return the mails of a study with their addresses, the latest first."""
    return InvitationMail.objects.filter(contact__study=study).select_related("contact__annotator").order_by("-pk")
