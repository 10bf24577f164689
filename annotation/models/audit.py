"""The audit: who did what and when, beyond the history that a report prints."""

from typing import Any, NoReturn

from django.db import models

APPEND_ONLY = "an entry of the audit is never changed or deleted"


class AuditEntries(models.QuerySet["AuditEntry"]):
    """Refuses what the database refuses too, and on SQLite, where the tests empty every table, the deletion."""

    def delete(self) -> NoReturn:
        """Refuse."""
        raise TypeError(APPEND_ONLY)


class AuditEntry(models.Model):
    """An act of an account: a share, a download of personal data, a token. Append only.

    Study and account are named without foreign keys, so that an entry outlives both. The detail names personal fields
    and never holds their values, so that an erasure leaves nothing behind here.
    """

    study_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    study_slug = models.CharField(max_length=100, blank=True)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=150, blank=True, help_text="Empty: a command, or the program itself.")
    verb = models.CharField(max_length=50)
    detail = models.JSONField(default=dict)
    happened_at = models.DateTimeField(auto_now_add=True)

    objects = AuditEntries.as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor_name or 'a command'}: {self.verb}"

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse."""
        raise TypeError(APPEND_ONLY)
