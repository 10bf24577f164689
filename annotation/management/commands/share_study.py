"""share_study STUDY [--account NAME --role ROLE] [--link | --revoke ID]: who may see a study."""

from typing import Any

from django.core.management.base import CommandParser
from django.urls import reverse

from annotation.management.base import StudyCommand
from annotation.models import Study
from annotation.studies.sharing import Role, create_report_link, revoke_report_link, set_role


class Command(StudyCommand):
    """Gives or takes roles and links to the report, and prints who has which."""

    help = "Give an account a role in a study, make or revoke a link to its report, and print who has which."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the account with its role, and the links."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--account", help="The name of a researcher's account.")
        parser.add_argument("--role", choices=(*Role.values, "none"), default="viewer", help="none: takes it away.")
        parser.add_argument("--link", action="store_true", help="Make a link to the report of the closed study.")
        parser.add_argument("--revoke", type=int, metavar="ID", help="Revoke the link of this number.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Change what is asked, and print the outcome."""
        study = self.study(options["study"])
        if options["account"]:
            set_role(study=study, name=options["account"], role=options["role"])
        if options["link"]:
            create_report_link(study=study)
        if options["revoke"] is not None:
            revoke_report_link(study=study, link_id=options["revoke"])
        document = _document(study)
        self.tell(**document)
        for one in document["shares"]:
            self.stdout.write(f"{one['account']}: {one['role']}")
        for link in document["report_links"]:
            self.stdout.write(f"link {link['id']}: {link['address']}")
        if not document["shares"]:
            self.stdout.write(f"{study.slug} belongs to the admins: no account has a role in it.")


def _document(study: Study) -> dict[str, list[dict[str, Any]]]:
    shares = study.shares.select_related("account")
    links = study.report_links.filter(revoked_at=None)
    return {
        "shares": [{"account": one.account.get_username(), "role": one.role} for one in shares],
        "report_links": [{"id": one.pk, "address": reverse("shared-report", args=[one.token])} for one in links],
    }
