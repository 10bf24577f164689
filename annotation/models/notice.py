"""Notices: what happened in a study, for each person who has a role in it."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


class Notice(models.Model):
    """A condition of a study that its people should know of, from its beginning to its end.

    subject: tells conditions of one kind apart, such as the rule of an alarm. words: one sentence, nothing sealed.
    """

    class Kind(models.TextChoices):
        VOTES_COMPLETE = "votes_complete", "All votes are there"
        JOBS_FAILED = "jobs_failed", "Jobs failed"
        ALARM = "alarm", "A rule excludes more people than before"

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=14, choices=Kind)
    subject = models.CharField(max_length=50, blank=True)
    words = models.CharField(max_length=500)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-began_at", "-pk")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study", "kind", "subject"],
                condition=Q(ended_at__isnull=True),
                name="one_notice_of_a_condition_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study}: {self.get_kind_display()}"


class NoticeReceipt(models.Model):
    """A notice for one account. is_shown: on the account's page. mail_due_at: when a mail is due; None: never, or sent.

    mail_tries: how often the mail server was asked.
    """

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="receipts")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    is_shown = models.BooleanField(default=True)
    read_at = models.DateTimeField(null=True, blank=True)
    mail_due_at = models.DateTimeField(null=True, blank=True)
    mail_tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("-pk",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["notice", "account"], name="one_receipt_per_notice_and_account"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account"], condition=Q(read_at__isnull=True, is_shown=True), name="notice_unread"),
            models.Index(fields=["mail_due_at"], condition=Q(mail_due_at__isnull=False), name="notice_mail_due"),
        ]

    def __str__(self) -> str:
        return f"{self.notice} for {self.account}"


def every_kind() -> list[str]:
    """Return all kinds of notices."""
    return list(Notice.Kind.values)


class NoticeSettings(models.Model):
    """The kinds of notices that an account wants on its page and by e-mail. Without a row: all on the page, no mail."""

    account = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_settings")
    on_page = models.JSONField(default=every_kind)
    by_mail = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"notices of {self.account}"
