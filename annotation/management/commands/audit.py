"""audit [STUDY] [--format csv|json]: write who did what and when, of one study or of the whole installation."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.audit import as_csv, as_json, history, whole_history


class Command(StudyCommand):
    """Writes the history as CSV or JSON, the latest act first."""

    help = "Write who did what and when as CSV or JSON: of a study, or of the whole installation with its logins."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study and the format."""
        parser.add_argument("study", nargs="?", help="The study's slug; without it, every act of the installation.")
        parser.add_argument("--format", choices=("csv", "json"), default="csv")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file."""
        acts = history(self.study(options["study"])) if options["study"] else whole_history()
        self.stdout.write((as_json if options["format"] == "json" else as_csv)(acts))
