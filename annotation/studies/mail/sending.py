"""Send the invitations and reminders that wait, some in each tick. A mail is claimed first: none is sent twice."""

from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from annotation.models import Annotator, InvitationMail
from annotation.studies.mail.outgoing import AWAY, MailServerAwayError, mail_server, send
from annotation.studies.mail.templates import filled
from annotation.studies.mail.usual import mail_language

State = InvitationMail.State
MOST_AT_ONCE = 20  # in one tick, which also does everything else
MOST_TRIES = 5
LOST_AFTER = timedelta(minutes=10)
LOST = "the worker stopped while it was sent: it may have arrived"
UNWANTED = "not sent: they finished, unsubscribed, or the voting is over"


def send_invitations(now: datetime) -> int:
    """Send what waits; return how many were sent. A mail server that is away is asked again in the next tick."""
    lost = InvitationMail.objects.filter(state=State.SENDING, changed_at__lt=now - LOST_AFTER)
    lost.update(state=State.FAILED, why=LOST, changed_at=now)
    waiting = InvitationMail.objects.filter(state=State.WAITING).order_by("pk")
    rows = list(waiting.select_related("contact__annotator", "contact__study")[:MOST_AT_ONCE])
    if not rows:
        return 0
    sent = 0
    try:
        with mail_server() as connection:
            for row in rows:
                if not _claim(row, now):
                    continue
                why = send(connection, mail_of(row)) if _is_wanted(row) else UNWANTED
                _settle(row, now, State.FAILED if why else State.SENT, why)
                sent += not why
    except MailServerAwayError:
        _put_back(now, [row.pk for row in rows])
    return sent


def _claim(row: InvitationMail, now: datetime) -> bool:
    mine = InvitationMail.objects.filter(pk=row.pk, state=State.WAITING, tries=row.tries)
    return bool(mine.update(state=State.SENDING, tries=row.tries + 1, changed_at=now))


def _settle(row: InvitationMail, now: datetime, state: str, why: str) -> None:
    own = InvitationMail.objects.filter(pk=row.pk, state=State.SENDING)
    own.update(state=state, why=why, changed_at=now)


def _put_back(now: datetime, ids: list[int]) -> None:
    """Let the mail that could not be handed over wait, or give it up after its last try."""
    mine = InvitationMail.objects.filter(pk__in=ids, state=State.SENDING, changed_at=now)
    mine.filter(tries__gte=MOST_TRIES).update(state=State.FAILED, why=AWAY)
    mine.filter(tries__lt=MOST_TRIES).update(state=State.WAITING)


def _is_wanted(row: InvitationMail) -> bool:
    contact = row.contact
    is_open_to = contact.annotator.state == Annotator.State.ACTIVE and not contact.study.is_over
    return is_open_to and contact.unsubscribed_at is None


def mail_of(row: InvitationMail) -> EmailMessage:
    """Return the mail with its places filled, and with a sentence on how to stop further mails."""
    annotator, study = row.contact.annotator, row.contact.study
    values = {"study": study.name, "name": annotator.label, "link": row.site + reverse("visit", args=[annotator.token])}
    leave = row.site + reverse("no-mail", args=[annotator.token])
    with translation.override(mail_language(study)):
        sentence = _("If you want no further messages about this study: %(link)s") % {"link": leave}
    return EmailMessage(
        subject=" ".join(filled(row.subject, values).split()),
        body=f"{filled(row.text, values)}\n\n-- \n{sentence}\n",
        to=[row.contact.address],
        reply_to=[row.reply_to] if row.reply_to else None,
        headers={"List-Unsubscribe": f"<{leave}>"},
    )
