"""The API's operations on invitations and reminders by e-mail."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from annotation.models import InvitationMail
from annotation.studies.audit import record
from annotation.studies.mail.addresses import recipients_of
from annotation.studies.mail.inviting import mail_invitations, remind
from annotation.studies.mail.usual import Kind, usual_mail
from annotation.web.api import study_schemas as schemas
from annotation.web.api.pages import account_of, answer, gives, next_page, page_of, study_called
from annotation.web.api.repeating import repeatable

router = Router(tags=["people and results"])


@router.get(
    "/studies/{slug}/invitation-mails",
    response=gives(schemas.InvitationMailsOut),
    operation_id="list_invitation_mails",
    url_name="invitation-mails",
)
def list_mails(request: HttpRequest, slug: str, limit: int = 50, offset: int = 0) -> HttpResponse:
    """List each invitation and reminder with its state, the latest first."""
    study = study_called(slug)
    rows = InvitationMail.objects.filter(contact__study=study).select_related("contact__annotator").order_by("-pk")
    page, count = page_of(rows, limit, offset), rows.count()
    record("addresses downloaded", study=study, actor=account_of(request), fields=["label", "e-mail address"])
    items = [_mail_out(one) for one in page]
    return answer(schemas.InvitationMailsOut(count=count, next=next_page(request, limit, offset, count), items=items))


@router.post(
    "/studies/{slug}/invitation-mails",
    response=gives(schemas.MailsOut, 201),
    operation_id="mail_invitations",
    url_name="invitation-mails",
)
@repeatable
def write_mails(request: HttpRequest, slug: str, body: schemas.InvitationMailsIn) -> HttpResponse:
    """Create a personal link for each person and a mail with it; a worker sends them."""
    people = recipients_of((one.address, one.label) for one in body.people)
    study = study_called(slug)
    written = mail_invitations(study=study, people=people, **_common(request, body, usual_mail(study, Kind.INVITATION)))
    return answer(schemas.MailsOut(written=written), status=201)


@router.post(
    "/studies/{slug}/reminders",
    response=gives(schemas.MailsOut, 201),
    operation_id="remind_invited",
    url_name="reminders",
)
@repeatable
def write_reminders(request: HttpRequest, slug: str, body: schemas.ReminderIn) -> HttpResponse:
    """Send a reminder to each person who was invited by e-mail and has not finished; at most one a day."""
    study = study_called(slug)
    written = remind(study=study, **_common(request, body, usual_mail(study, Kind.REMINDER)))
    return answer(schemas.MailsOut(written=written), status=201)


def _common(request: HttpRequest, body: schemas.TextIn, usual: tuple[str, str]) -> dict[str, Any]:
    site = request.build_absolute_uri("/").rstrip("/")
    chosen = zip((body.subject, body.message), usual, strict=True)
    subject, text = (usual_one if one is None else one for one, usual_one in chosen)
    return {"site": site, "now": timezone.now(), "actor": account_of(request), "subject": subject, "text": text}


def _mail_out(one: InvitationMail) -> schemas.InvitationMailOut:
    names = ("kind", "state", "why", "created_at", "changed_at")
    fields = {name: getattr(one, name) for name in names}
    return schemas.InvitationMailOut(address=one.contact.address, label=one.contact.annotator.label, **fields)
