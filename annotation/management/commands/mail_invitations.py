"""mail_invitations STUDY (--addresses FILE | --remind) [--site URL]: invite by e-mail, or remind those invited so."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from annotation.management.base import StudyCommand
from annotation.studies.mail.addresses import recipients_in
from annotation.studies.mail.inviting import mail_invitations, remind
from annotation.studies.mail.usual import Kind, usual_mail
from annotation.studies.study_file.tables import read_text
from jobs.wording import counted


class Command(StudyCommand):
    """Writes mails; a running worker sends them."""

    help = (
        "Invite people by e-mail with personal links, or remind those who have not finished. A worker sends the mails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the people, the mail and the site."""
        parser.add_argument("study", help="The study's slug.")
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--addresses", type=Path, help="A file of addresses, one a line, with or without names.")
        chosen.add_argument("--remind", action="store_true", help="Remind everybody who has not finished.")
        parser.add_argument("--subject", help="The subject; its places are {study} and {name}.")
        parser.add_argument("--message", type=Path, help="A file with the message; it needs the place {link}.")
        parser.add_argument("--site", default=settings.SITE_URL, help="What links begin with (default: SITE_URL).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the mails."""
        study, is_reminder = self.study(options["study"]), options["remind"]
        usual = usual_mail(study, Kind.REMINDER if is_reminder else Kind.INVITATION)
        common: dict[str, Any] = {
            "study": study,
            "subject": options["subject"] or usual[0],
            "text": read_text(options["message"]) if options["message"] else usual[1],
            "site": options["site"],
            "now": timezone.now(),
            "actor": None,
        }
        if is_reminder:
            count = remind(**common)
        else:
            count = mail_invitations(people=recipients_in(read_text(options["addresses"])), **common)
        self.tell(written=count)
        self.stdout.write(f"{counted(count, 'mail')} written; a running worker sends them.")
