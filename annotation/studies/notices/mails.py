"""Send the mails of notices. One that cannot be sent is tried again later, and given up after a while."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage

from annotation.models import NoticeReceipt
from annotation.studies.mail.outgoing import MailServerAwayError, mail_server, send
from annotation.studies.sharing import role_in

MOST_AT_ONCE = 20  # in one tick, which also does everything else
MOST_TRIES = 5
PAUSE = timedelta(minutes=10)  # between two tries


def send_notices(now: datetime) -> int:
    """Send the mails that are due; return how many were sent. A receipt is claimed first: no mail is sent twice."""
    due = NoticeReceipt.objects.filter(mail_due_at__lte=now).select_related("notice__study", "account")
    rows = list(due.order_by("mail_due_at", "pk")[:MOST_AT_ONCE])
    if not rows:
        return 0
    sent = 0
    try:
        with mail_server() as connection:
            for row in rows:
                if not _claim(row, now):
                    continue
                if role_in(row.account, row.notice.study.slug) and row.account.email:
                    sent += not send(connection, _mail(row))  # an address that is refused is not asked again
                NoticeReceipt.objects.filter(pk=row.pk).update(mail_due_at=None)
    except MailServerAwayError:
        return sent  # what was claimed is due again after the pause
    return sent


def _claim(row: NoticeReceipt, now: datetime) -> bool:
    """Return whether this process sends the mail: it is then due again after the pause, or never after the last try."""
    tries = row.mail_tries + 1
    later = now + PAUSE if tries < MOST_TRIES else None
    mine = NoticeReceipt.objects.filter(pk=row.pk, mail_due_at=row.mail_due_at, mail_tries=row.mail_tries)
    return bool(mine.update(mail_due_at=later, mail_tries=tries))


def _mail(row: NoticeReceipt) -> EmailMessage:
    study = row.notice.study
    site = str(settings.SITE_URL).rstrip("/")
    address = f"{site}{study.get_absolute_url()}" if site else f"Open the study {study.slug} in Semblance."
    lines = (f"{study.name}: {row.notice.words}", "", address, "", "Which notices you get is set on the page Notices.")
    subject = " ".join(f"{study.name}: {row.notice.get_kind_display()}".split())
    return EmailMessage(subject=subject, body="\n".join(lines), to=[row.account.email])
