"""Write invitations and reminders; the tick sends them. Nothing here talks to a mail server."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Annotator, Assignment, Contact, InvitationMail, Study
from annotation.studies.audit import record
from annotation.studies.invitations import MOST_AT_ONCE
from annotation.studies.kept_apart import refuse_people_of_pilots
from annotation.studies.mail.addresses import Recipient
from annotation.studies.mail.templates import checked
from annotation.studies.people.annotator_rows import IDLE_AFTER
from annotation.voting.annotators import invite
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused

Kind = InvitationMail.Kind
A_DAY = timedelta(days=1)  # at least between two mails to one person
PERSONAL = ["e-mail address", "link"]


@in_turn
def mail_invitations(
    *, study: Study, people: Sequence[Recipient], subject: str, text: str, site: str, now: datetime, actor: User | None
) -> int:
    """Create a personal link for each person and a mail with it, and return how many.

    site: what links begin with. Refused if the study is over, for a text that `checked` refuses, for addresses that
    were invited before or whose person took part in a pilot, and for more mails than an hour may have.
    """
    subject, text = checked(subject, text)
    study = _locked(study, actor)
    _refuse_over(study)
    _refuse_site(site)
    if not 1 <= len(people) <= MOST_AT_ONCE:
        raise Refused(f"addresses: give 1 to {MOST_AT_ONCE} at once.")
    _refuse_known(study, people)
    refuse_people_of_pilots(study, [one.label for one in people if one.label])
    _refuse_too_many(len(people), actor, now)
    first = study.annotators.count() + 1
    made = []
    for number, one in enumerate(people, start=first):
        annotator = invite(study=study, label=one.label or str(number))
        made.append(Contact.objects.create(study=study, annotator=annotator, address=one.address))
    _write(made, Kind.INVITATION, subject, text, site, now, actor)
    record("invited by e-mail", study=study, actor=actor, mails=len(made), fields=PERSONAL)
    return len(made)


@in_turn
def remind(*, study: Study, subject: str, text: str, site: str, now: datetime, actor: User | None) -> int:
    """Write a reminder to everybody whom `to_remind` names, and return how many. Refused for nobody, and as above."""
    subject, text = checked(subject, text)
    study = _locked(study, actor)
    if study.state != Study.State.OPEN:
        raise Refused(f"{study} is not open, so nobody could follow a reminder.")
    _refuse_site(site)
    people = list(to_remind(study, now))
    if not people:
        raise Refused("Nobody is to be reminded now: a person gets at most one mail a day.")
    _refuse_too_many(len(people), actor, now)
    _write(people, Kind.REMINDER, subject, text, site, now, actor)
    record("reminded by e-mail", study=study, actor=actor, mails=len(people), fields=PERSONAL)
    return len(people)


def to_remind(study: Study, now: datetime) -> QuerySet[Contact]:
    """Return the invited people who have not finished, are not voting, want mails, and got none for a day."""
    lately = InvitationMail.objects.filter(contact=OuterRef("pk"), created_at__gt=now - A_DAY)
    at_it = Assignment.objects.filter(annotator=OuterRef("annotator"), leased_at__gt=now - IDLE_AFTER)
    waiting = Contact.objects.filter(study=study, unsubscribed_at=None, annotator__state=Annotator.State.ACTIVE)
    return waiting.filter(~Exists(lately), ~Exists(at_it)).order_by("pk")


def unsubscribe(*, annotator: Annotator, now: datetime) -> None:
    """Send the annotator no further mail. Doing it again changes nothing."""
    Contact.objects.filter(annotator=annotator, unsubscribed_at=None).update(unsubscribed_at=now)


def _locked(study: Study, actor: User | None) -> Study:
    """Return the study as it is now. Requests that come at once wait for each other: each sees the mails of the last.

    The account is locked too, because its mails of an hour are counted.
    """
    if actor:
        User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    return Study.objects.select_for_update(no_key=True).get(pk=study.pk)


def _write(
    contacts: Iterable[Contact], kind: str, subject: str, text: str, site: str, now: datetime, actor: User | None
) -> None:
    InvitationMail.objects.bulk_create(
        InvitationMail(
            contact=one,
            kind=kind,
            subject=subject,
            text=text,
            site=site.rstrip("/"),
            reply_to=actor.email if actor else "",
            created_by=actor,
            created_at=now,
            changed_at=now,
        )
        for one in contacts
    )


def _refuse_over(study: Study) -> None:
    if study.is_over:
        raise Refused(f"{study} is over: nobody can be invited any more.")
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} takes no votes here: its votes are imported.")


def _refuse_site(site: str) -> None:
    if not site.startswith(("https://", "http://")) or len(site.split()) != 1:  # a header of each mail has it
        raise Refused("site: give the beginning of the links, such as https://semblance.example (or set SITE_URL).")


def _refuse_known(study: Study, people: Sequence[Recipient]) -> None:
    """Refuse without an address in the message: it may be logged. The place in the list is enough."""
    addresses = [one.address for one in people]
    known = set(Contact.objects.filter(study=study, address__in=addresses).values_list("address", flat=True))
    in_pilot = Contact.objects.filter(study__pilot_of=study, address__in=addresses).select_related("annotator")
    came = {one.address for one in in_pilot if one.annotator.has_come}
    for found, why, way_out in (
        (known, "already invited", "Send a reminder instead, or leave them out"),
        (came, "took part in a pilot of this study, whose people are kept out of it", "Leave them out"),
    ):
        if places := [number for number, one in enumerate(people, start=1) if one.address in found]:
            listed = ", ".join(map(str, places[:10]))
            raise Refused(f"addresses: {why}: number {listed} of {len(people):,}. {way_out}.")


def _refuse_too_many(count: int, actor: User | None, now: datetime) -> None:
    lately = InvitationMail.objects.filter(created_by=actor, created_at__gt=now - timedelta(hours=1)).count()
    most = settings.INVITATION_MAILS_PER_HOUR
    if lately + count > most:
        raise Refused(
            f"addresses: an account may send {most:,} mails an hour, and {lately:,} were sent; wait, or send fewer."
        )
