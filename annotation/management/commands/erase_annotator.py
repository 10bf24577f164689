"""erase_annotator STUDY NAME [--yes] [--format json]: erase one annotator's votes, answers and personal data."""

import json
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.report_jobs.retention import erase_annotator, erasure_effects, find_annotator


class Command(StudyCommand):
    """Without --yes it only says what would be removed."""

    help = "Erase one annotator, named by label, platform id or pseudonym. Without --yes it says what would be removed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the annotator, the confirmation and the format."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("name", help="A label, a platform's id, or a pseudonym such as P007.")
        parser.add_argument("--yes", action="store_true", help="Erase; it cannot be undone.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is removed, and remove it."""
        annotator = find_annotator(self.study(options["study"]), options["name"])
        effects = erasure_effects(annotator)
        vote_count = None
        if options["yes"]:
            vote_count = erase_annotator(annotator=annotator).withdrawn_vote_count
        if options["format"] == "json":
            document = {"erased": options["yes"], "removed": effects.removed, "kept": effects.kept}
            self.stdout.write(json.dumps(document | {"vote_count": vote_count}))
            return
        self.stdout.write("Removed:" if options["yes"] else "Would be removed (add --yes):")
        self.stdout.write("\n".join(f"  {sentence}" for sentence in effects.removed))
        self.stdout.write("Kept:")
        self.stdout.write("\n".join(f"  {sentence}" for sentence in effects.kept))
