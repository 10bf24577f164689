"""Tokens with which a script acts as an account, and the answers that are repeated to a script that asks again."""

from typing import ClassVar

from django.conf import settings
from django.db import models


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
