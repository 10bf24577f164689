"""The notices of an account: list them, mark them as read, choose which ones come how."""

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone

from annotation.models import Notice, NoticeReceipt, NoticeSettings
from annotation.studies.sharing import visible_studies
from jobs.refusals import Refused

Kind = Notice.Kind


def notices_for(account: User, *, is_unread: bool = False) -> QuerySet[NoticeReceipt]:
    """Return the notices of an account, the latest first, about the studies that it may see now."""
    own = NoticeReceipt.objects.filter(account=account, is_shown=True, notice__study__in=visible_studies(account))
    rows = own.filter(read_at=None) if is_unread else own
    return rows.select_related("notice__study").order_by("-notice__began_at", "-pk")


def unread_count(account: User) -> int:
    """Return how many notices the account has not read, with one query."""
    return notices_for(account, is_unread=True).order_by().count()


def mark_read(account: User) -> int:
    """Mark every notice of the account as read; return how many were unread."""
    return NoticeReceipt.objects.filter(account=account, read_at=None).update(read_at=timezone.now())


def settings_of(account: User) -> NoticeSettings:
    """Return the account's settings, or the usual ones, not stored."""
    return NoticeSettings.objects.filter(account=account).first() or NoticeSettings(account=account)


def choose(*, account: User, on_page: Collection[str], by_mail: Collection[str]) -> None:
    """Store which kinds of notices the account wants. Refused for mails to an account without an address."""
    if unknown := {*on_page, *by_mail} - set(Kind.values):
        raise Refused(f"There is no notice {', '.join(sorted(unknown))}; there are {', '.join(Kind.values)}.")
    if by_mail and not account.email:
        raise Refused("by_mail: your account has no e-mail address; an admin can enter one under All tables, Users.")
    chosen = {"on_page": sorted(set(on_page)), "by_mail": sorted(set(by_mail))}
    NoticeSettings.objects.update_or_create(account=account, defaults=chosen)
