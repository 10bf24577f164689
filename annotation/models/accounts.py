"""Rights and acts of accounts: roles in a study, links to its closed report, tokens of the API, the audit."""

from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models

from annotation.models.study import new_link_token

APPEND_ONLY = "an entry of the audit is never changed or deleted"


class StudyShare(models.Model):
    """The role of an account in a study. Admins of the installation need none."""

    class Role(models.TextChoices):
        VIEWER = "viewer"  # sees counts, images and the report, but no link, no code and no answer
        EDITOR = "editor"  # runs the study: actions, invitations, amendments
        OWNER = "owner"  # shares and deletes it too

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="shares")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="study_shares")
    role = models.CharField(max_length=6, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "account"], name="one_role_per_account_and_study"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.role} of {self.study}"


class ReportLink(models.Model):
    """A link with which anyone may read the report of a closed study, until the link is revoked."""

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="report_links")
    token = models.CharField(max_length=40, unique=True, default=new_link_token, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"report link {self.pk} of {self.study}"


class ApiToken(models.Model):
    """A token of the API. Only its hash is stored: the token itself is shown once, when it is created.

    A token never lets a script do more than its account may do. hint: its first letters, to tell tokens apart.
    """

    class Scope(models.TextChoices):
        READ = "read", "Read studies, progress and reports"
        DATA = "data", "Read votes and links of annotators"
        WRITE = "write", "Create and run studies, invite and share"

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    hint = models.CharField(max_length=12)
    sha256 = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} of {self.account}"


class RepeatableAnswer(models.Model):
    """The answer to a request with an Idempotency-Key: the same request is answered with it again, for a day.

    request_sha256: of the request's address and body; another request with the same key is refused. status: 0 while
    the first request is still at work.
    """

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=100)
    request_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "key"], name="one_answer_per_account_and_key"),
        ]

    def __str__(self) -> str:
        return f"answer {self.key} for {self.account}"


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
