"""Invitations by e-mail: each address once, sent by the tick, never twice, and nobody who does not want them."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from annotation.models import AuditEntry, Contact, InvitationMail, Study
from annotation.reports.report_jobs.retention import erase_annotator, erasure_effects
from annotation.studies.mail.addresses import Recipient, recipients_in, recipients_of
from annotation.studies.mail.inviting import mail_invitations, remind, to_remind
from annotation.studies.mail.sending import MOST_TRIES, send_invitations
from annotation.studies.mail.templates import checked
from annotation.studies.mail.usual import Kind, usual_mail
from annotation.studies.sharing import Role
from jobs.refusals import Refused
from tests.annotation.voting.test_concurrency import at_once
from tests.factories import make_study, member, put_in_state

pytestmark = pytest.mark.django_db
ADA, GRACE = Recipient("ada@lab.example", "Ada"), Recipient("grace@lab.example")
SITE = "https://semblance.example"


def invite(study: Study, *people: Recipient, **changes: Any) -> int:
    subject, text = usual_mail(study, Kind.INVITATION)
    usual: dict[str, Any] = {"subject": subject, "text": text, "site": SITE, "actor": None}
    return mail_invitations(study=study, people=people, **(usual | {"now": timezone.now()} | changes))


def reminded(study: Study, days: float) -> int:
    now = timezone.now() + timedelta(days=days)
    subject, text = usual_mail(study, Kind.REMINDER)
    return remind(study=study, subject=subject, text=text, site=SITE, now=now, actor=None)


def test_the_place_of_an_address_that_is_none_is_named_and_a_site_fits_a_header() -> None:
    with pytest.raises(Refused, match=r"people: number 2 is not an e-mail address"):
        recipients_of([("ada@lab.example", "Ada"), ("grace@lab.example\nBcc: eve@lab.example", "")])
    with pytest.raises(Refused, match="site: give the beginning of the links"):
        invite(make_study(), ADA, site=f"{SITE}\nBcc: eve@lab.example")


def test_a_pasted_list_is_read_line_by_line() -> None:
    assert recipients_in("Ada <Ada@lab.example>,\n\n grace@lab.example;\nADA@LAB.EXAMPLE") == [ADA, GRACE]
    with pytest.raises(Refused, match=r"addresses: line 2 is not an e-mail address") as refused:
        recipients_in("ada@lab.example\nnobody at example\n")
    assert "nobody" not in str(refused.value)


@pytest.mark.parametrize(
    ("subject", "text", "why"),
    [
        ("", "{link}", "subject: a subject has 1 to"),
        ("{link}", "{link}", "subject: {link} belongs in the message"),
        ("x", "no link", "message: {link} is missing"),
        ("x", "{link} {token}", "message: there is no place {token}"),
        ("{study.pk}", "{link}", "subject: there is no place {study.pk}"),
        ("x", "{link!r}", "message: there is no place {link}"),
        ("x", "{link", "message: a brace has no pair"),
    ],
)
def test_a_text_with_another_place_is_refused(subject: str, text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        checked(subject, text)
    assert str(refused.value).startswith(why)


def test_each_person_gets_one_mail_with_a_link_of_their_own(caplog: pytest.LogCaptureFixture) -> None:
    study, now = make_study(texts={"language": "de"}), timezone.now()
    owner = member(study, "owner")
    User.objects.filter(pk=owner.pk).update(email="owner@lab.example")
    owner.refresh_from_db()
    with caplog.at_level(logging.DEBUG):
        assert invite(study, ADA, GRACE, actor=owner) == 2
        assert [send_invitations(now), send_invitations(now)] == [2, 0]
    first, second = mail.outbox
    token = Contact.objects.get(address=ADA.address).annotator.token
    assert (first.to, first.reply_to, first.subject) == ([ADA.address], ["owner@lab.example"], "Einladung: Study")
    assert f"{SITE}/a/{token}/\n" in first.body
    assert " you " not in first.body.casefold()
    assert f"Wenn Sie keine weiteren Nachrichten zu dieser Studie wünschen: {SITE}/a/{token}/no-mail/" in first.body
    assert first.extra_headers["List-Unsubscribe"] == f"<{SITE}/a/{token}/no-mail/>"
    assert token not in second.body
    assert set(InvitationMail.objects.values_list("state", flat=True)) == {"sent"}
    stored = json.dumps(list(AuditEntry.objects.values_list("detail", flat=True))) + caplog.text
    assert token not in stored
    assert ADA.address not in stored
    with pytest.raises(Refused, match="already invited: number 1 of 2"):
        invite(study, ADA, Recipient("new@lab.example"))
    assert study.annotators.count() == 2, "a refusal creates nobody"


def test_the_page_proposes_mails_in_the_language_of_the_study(client: Client) -> None:
    study = make_study(texts={"language": "de"})
    client.force_login(member(study, "editor"))
    page = client.get(reverse("make-invitations", args=[study.slug])).content.decode()
    assert "Einladung: {study}" in page
    assert "Sie sind eingeladen, Bildreihen zu vergleichen" in page


def test_an_account_sends_so_many_mails_an_hour(settings: Any) -> None:
    settings.INVITATION_MAILS_PER_HOUR = 2
    study, now = make_study(), timezone.now()
    invite(study, ADA, now=now)
    with pytest.raises(Refused, match="may send 2 mails an hour, and 1 were sent"):
        invite(study, GRACE, Recipient("new@lab.example"), now=now)
    assert invite(study, GRACE, Recipient("new@lab.example"), now=now + timedelta(hours=1, minutes=1)) == 2


def test_people_of_a_pilot_are_known_by_their_address() -> None:
    study, pilot = make_study(), make_study(slug="pilot")
    Study.objects.filter(pk=pilot.pk).update(pilot_of=study)
    invite(pilot, ADA, GRACE)
    Contact.objects.get(address=ADA.address).annotator.__class__.objects.filter(label="Ada").update(
        instructions_read_at=timezone.now()
    )
    with pytest.raises(Refused, match="number 1"):
        invite(study, Recipient(ADA.address, "A. L."))
    assert invite(study, GRACE) == 1


def test_a_reminder_goes_once_a_day_to_those_who_have_not_finished(client: Client) -> None:
    study = make_study()
    invite(study, ADA, GRACE, Recipient("alan@lab.example"), Recipient("done@lab.example"))
    now = timezone.now()
    send_invitations(now)
    done = Contact.objects.get(address="done@lab.example").annotator
    type(done).objects.filter(pk=done.pk).update(state="finished")
    leaving = reverse("no-mail", args=[Contact.objects.get(address="alan@lab.example").annotator.token])
    assert "Send me no further messages" in client.get(leaving).content.decode()
    assert to_remind(study, now + timedelta(days=2)).count() == 3, "a look changes nothing"
    assert "no further messages" in client.post(leaving).content.decode()
    with pytest.raises(Refused, match="at most one mail a day"):
        reminded(study, 0.5)
    assert reminded(study, 1.1) == 2
    with pytest.raises(Refused, match="Nobody is to be reminded"):
        reminded(study, 1.2)
    Contact.objects.filter(address=GRACE.address).update(unsubscribed_at=now)
    mail.outbox.clear()
    assert send_invitations(now + timedelta(days=1.1)) == 1
    assert [one.subject for one in mail.outbox] == ["Reminder: Study"]
    assert InvitationMail.objects.filter(state="failed").get().why.startswith("not sent: they finished, unsubscribed")
    put_in_state(study, "paused")
    with pytest.raises(Refused, match="is not open"):
        reminded(study, 5)


def test_a_refused_address_and_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    study, now = make_study(), timezone.now()
    invite(study, ADA, GRACE)
    answers: list[Exception] = [SMTPRecipientsRefused({}), SMTPServerDisconnected()]

    def answer(_self: EmailBackend, _mails: list[EmailMessage]) -> int:
        raise answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(EmailBackend, "send_messages", answer)
    for tick in range(MOST_TRIES + 1):
        assert send_invitations(now + timedelta(seconds=30 * tick)) == 0
    assert dict(InvitationMail.objects.values_list("contact__address", "why")) == {
        ADA.address: "the mail server refused the address",
        GRACE.address: "the mail server did not answer",
    }
    InvitationMail.objects.update(state="sending", changed_at=now)
    send_invitations(now + timedelta(minutes=11))
    assert {one.state for one in InvitationMail.objects.all()} == {"failed"}, "never sent twice"


def test_an_erasure_takes_the_address_and_the_mails() -> None:
    study = make_study()
    invite(study, ADA)
    annotator = study.annotators.get()
    assert "the e-mail address, with the mails to it" in " ".join(erasure_effects(annotator).removed)
    erase_annotator(annotator=annotator)
    assert not Contact.objects.exists()
    assert not InvitationMail.objects.exists()


def test_the_page_and_the_command_write_mails(client: Client, tmp_path: Path) -> None:
    study = make_study()
    client.force_login(member(study, "editor"))
    address = reverse("mail-invitations", args=[study.slug])
    text = {"subject": "Hello", "message": "{link}"}
    refused = client.post(address, {"addresses": "ada@lab.example\nno address", **text})
    assert (refused.status_code, "Line 2 is not an e-mail address" in refused.content.decode()) == (400, True)
    assert client.post(address, {"addresses": "Ada <ada@lab.example>", **text}).status_code == 302
    assert InvitationMail.objects.get().site == "http://testserver"
    page = client.get(reverse("make-invitations", args=[study.slug])).content.decode()
    assert "ada@lab.example" in page
    assert "Remind 0 people" in page
    assert (
        client.post(address, {"remind": "yes", "reminder-subject": "x", "reminder-message": "{link}"}).status_code
        == 400
    )
    (tmp_path / "people.txt").write_text("grace@lab.example\n")
    out = StringIO()
    arguments = ("--addresses", str(tmp_path / "people.txt"), "--site", SITE, "--format", "json")
    call_command("mail_invitations", "study", *arguments, stdout=out)
    assert json.loads(out.getvalue())["written"] == 1


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_requests_that_come_at_once_write_each_mail_once(settings: Settings) -> None:
    study = make_study()
    owner = member(study, Role.OWNER)
    written = at_once([partial(said, partial(invite, study, ADA, actor=owner))] * 3)
    assert ["already invited" in one for one in written].count(True) == 2
    text: dict[str, Any] = {"subject": "Reminder", "text": "{link}", "site": SITE}
    tomorrow = timezone.now() + timedelta(days=1.1)
    told = at_once([partial(said, partial(remind, study=study, now=tomorrow, actor=owner, **text))] * 3)
    assert ["Nobody is to be reminded" in one for one in told].count(True) == 2
    settings.INVITATION_MAILS_PER_HOUR = 6
    pairs = [[Recipient(f"{n}-{k}@lab.example") for k in range(2)] for n in range(3)]
    many = at_once([partial(said, partial(invite, study, *pair, actor=owner)) for pair in pairs])
    assert ["an account may send 6 mails" in one for one in many].count(True) == 1
    assert InvitationMail.objects.count() == 6


def said(action: Callable[[], int]) -> str:
    """Return what an action returns or refuses, as text."""
    try:
        return str(action())
    except Refused as refusal:
        return str(refusal)
