"""E-mail addresses of invited people, and the mails to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


class Contact(models.Model):
    """The address of an annotator with a personal link. A withdrawal or an erasure deletes it, with its mails.

    address: in lower case, so that one address is invited once. unsubscribed_at: since when they want no more mails.
    """

    study = models.ForeignKey("annotation.Study", on_delete=models.CASCADE, related_name="contacts")
    annotator = models.OneToOneField("annotation.Annotator", on_delete=models.CASCADE, related_name="contact")
    address = models.EmailField()
    unsubscribed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("pk",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "address"], name="one_contact_per_study_and_address"),
        ]

    def __str__(self) -> str:
        return f"contact of {self.annotator_id}"


class InvitationMail(models.Model):
    """A mail with a personal link. subject, text: with places such as {link}, which are filled when it is sent.

    site: what the link begins with. reply_to: the address of the account that wrote it. why: it was not sent.
    changed_at: when it got its state.
    """

    class Kind(models.TextChoices):
        INVITATION = "invitation"
        REMINDER = "reminder"

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="mails")
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    site = models.CharField(max_length=300)
    reply_to = models.EmailField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    why = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-pk",)
        indexes: ClassVar = [
            models.Index(fields=["state"], condition=Q(state__in=("waiting", "sending")), name="invitation_mail_due"),
            models.Index(fields=["created_at"], name="invitation_mail_created"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.contact_id}: {self.state}"
