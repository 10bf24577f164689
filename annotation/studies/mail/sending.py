"""Send mails: those that wait, some in each tick (invitations, reminders, notices), and links for a new password.

Each mail is marked as begun first, by one conditional UPDATE, so that no two processes send it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import TypeVar

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from annotation.models import Annotator, InvitationMail, NoticeReceipt
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.installation.accounts import password_path, with_email
from annotation.studies.language import language_of
from annotation.studies.mail.templates import filled
from annotation.studies.sharing import role_in

State = InvitationMail.State
MOST_AT_ONCE = 20  # in one tick, which also does everything else
MOST_TRIES = 5
PAUSE = timedelta(minutes=10)  # between two tries of a notice
LOST_AFTER = timedelta(minutes=10)
LOST = "the worker stopped while it was sent: it may have arrived"
UNWANTED = "not sent: they finished, unsubscribed, or the voting is over"
Row = TypeVar("Row")
logger = logging.getLogger(__name__)
REFUSED = "the mail server refused the address"
AWAY = "the mail server did not answer"


class MailServerAwayError(Exception):
    """The mail server cannot be reached, or refuses everything: no further mail has to be tried now."""


@contextmanager
def mail_server() -> Iterator[BaseEmailBackend]:
    """Open one connection for several mails. Raises MailServerAwayError if there is none."""
    connection = get_connection()
    try:
        connection.open()
        yield connection
    except (SMTPException, OSError) as error:
        logger.warning("mails wait: %s", type(error).__name__)
        raise MailServerAwayError from error
    finally:
        try:
            connection.close()
        except (SMTPException, OSError):
            logger.warning("the mail server closed the connection first")


def send(connection: BaseEmailBackend, mail: EmailMessage) -> str:
    """Send a mail to one address; return an empty text, or why that address cannot get it.

    Raises OSError or SMTPException if the server fails for other reasons.
    """
    mail.connection = connection
    try:
        mail.send()
    except (SMTPRecipientsRefused, UnicodeError):
        return REFUSED
    return ""


def _sent(
    rows: Sequence[Row], attempt: Callable[[BaseEmailBackend, Row], bool], *, put_back: Callable[[], None]
) -> int:
    """Try each row over one connection; return how many were sent. If the mail server is away, put back the rest."""
    if not rows:
        return 0
    sent = 0
    try:
        with mail_server() as connection:
            for row in rows:
                sent += attempt(connection, row)
    except MailServerAwayError:
        put_back()
    return sent


# --- invitations and reminders ------------------------------------------------------------------
def send_invitations(now: datetime) -> int:
    """Send what waits; return how many were sent. A mail server that is away is asked again in the next tick."""
    lost = InvitationMail.objects.filter(state=State.SENDING, changed_at__lt=now - LOST_AFTER)
    lost.update(state=State.FAILED, why=LOST, changed_at=now)
    waiting = InvitationMail.objects.filter(state=State.WAITING).order_by("pk")
    rows = list(waiting.select_related("contact__annotator", "contact__study")[:MOST_AT_ONCE])

    def attempt(connection: BaseEmailBackend, row: InvitationMail) -> bool:
        if not _begin(row, now):
            return False
        why = send(connection, mail_of(row)) if _is_wanted(row) else UNWANTED
        _settle(row, now, State.FAILED if why else State.SENT, why)
        return not why

    return _sent(rows, attempt, put_back=lambda: _put_back(now, [row.pk for row in rows]))


def _begin(row: InvitationMail, now: datetime) -> bool:
    """Mark a mail as being sent; return False if another process did so before."""
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
    with translation.override(language_of(current_manifest(study))):
        sentence = _("If you want no further messages about this study: %(link)s") % {"link": leave}
    return EmailMessage(
        subject=" ".join(filled(row.subject, values).split()),
        body=f"{filled(row.text, values)}\n\n-- \n{sentence}\n",
        to=[row.contact.address],
        reply_to=[row.reply_to] if row.reply_to else None,
        headers={"List-Unsubscribe": f"<{leave}>"},
    )


# --- notices ------------------------------------------------------------------------------------
def send_notices(now: datetime) -> int:
    """Send the notices that are due; return how many were sent. One that cannot be sent is given up after a while."""
    due = NoticeReceipt.objects.filter(mail_due_at__lte=now).select_related("notice__study", "account")

    def attempt(connection: BaseEmailBackend, row: NoticeReceipt) -> bool:
        if not _begin_notice(row, now):
            return False
        is_wanted = role_in(row.account, row.notice.study.slug) and row.account.email
        # An address that is refused is not asked again.
        is_sent = bool(is_wanted) and not send(connection, _notice_mail(row))
        NoticeReceipt.objects.filter(pk=row.pk).update(mail_due_at=None)
        return is_sent

    # What was begun is due again after the pause.
    return _sent(list(due.order_by("mail_due_at", "pk")[:MOST_AT_ONCE]), attempt, put_back=lambda: None)


def _begin_notice(row: NoticeReceipt, now: datetime) -> bool:
    """Return whether this process sends the mail: it is then due again after the pause, or never after the last try."""
    tries = row.mail_tries + 1
    later = now + PAUSE if tries < MOST_TRIES else None
    mine = NoticeReceipt.objects.filter(pk=row.pk, mail_due_at=row.mail_due_at, mail_tries=row.mail_tries)
    return bool(mine.update(mail_due_at=later, mail_tries=tries))


def _notice_mail(row: NoticeReceipt) -> EmailMessage:
    study = row.notice.study
    site = str(settings.SITE_URL).rstrip("/")
    address = f"{site}{study.get_absolute_url()}" if site else f"Open the study {study.slug} in Semblance."
    lines = (f"{study.name}: {row.notice.words}", "", address, "", "Choose on the page Notices which ones you get.")
    subject = " ".join(f"{study.name}: {row.notice.get_kind_display()}".split())
    return EmailMessage(subject=subject, body="\n".join(lines), to=[row.account.email])


def send_password_links(address: str, site: str) -> bool:
    """Mail a link for a new password to each active account with this address.

    Return False if the mail server is away: try again. A second run sends a second mail, whose link opens the same
    page.
    """
    accounts = [account for account in with_email(address) if account.is_active]
    if not accounts:
        return True
    try:
        with mail_server() as connection:
            for account in accounts:
                if not send(connection, _password_mail(account, site)):
                    record("password link mailed", account=account.get_username())
    except MailServerAwayError:
        return False
    return True


def _password_mail(account: User, site: str) -> EmailMessage:
    values = {"account": account, "address": site + password_path(account), "site": site}
    text = render_to_string("account/email/password_link.txt", values)
    # To the account's own spelling of the address, which an admin entered, and not to what a visitor typed.
    return EmailMessage(subject="Choose a new password for Semblance", body=text, to=[account.email])
