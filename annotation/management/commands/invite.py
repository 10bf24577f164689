"""invite STUDY (--count N | --label NAME ...): create personal links."""

import csv
import json
from typing import Any

from django.core.management.base import CommandParser
from django.urls import reverse

from annotation.management.base import StudyCommand
from annotation.studies.invitations import invite_all
from generation.tables.formulas import marked


class Command(StudyCommand):
    """Creates personal links and prints them as CSV or JSON: label, link."""

    help = "Create personal links to a study and print them. Anyone who has a link can vote with it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the labels or their number, the site and the format."""
        parser.add_argument("study", help="The study's slug.")
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--count", type=int, help="How many links, each labelled by a number.")
        chosen.add_argument("--label", action="append", default=[], help="A label of a link; may be repeated.")
        parser.add_argument("--site", default="", help="What each link begins with, such as https://semblance.example.")
        parser.add_argument("--format", choices=("csv", "json"), default="csv")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the links and print them."""
        made = invite_all(study=self.study(options["study"]), labels=options["label"], count=options["count"] or 0)
        site = options["site"].rstrip("/")
        rows = [(one.label, site + reverse("visit", args=[one.token])) for one in made]
        if options["format"] == "json":
            self.stdout.write(json.dumps([{"label": label, "link": link} for label, link in rows], indent=2))
            return
        writer = csv.writer(self.stdout, lineterminator="\n")
        writer.writerow(("label", "link"))
        writer.writerows((marked(label), link) for label, link in rows)
