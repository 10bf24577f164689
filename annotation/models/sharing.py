"""Who may see and change a study: its shares with accounts, and links to its closed report."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from annotation.models.study import new_link_token


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
