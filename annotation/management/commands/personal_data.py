"""personal_data STUDY [--format json]: print what a study stores about people, for an ethics board."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.people.data_record import as_markdown, data_record


class Command(StudyCommand):
    """Prints the record as Markdown."""

    help = "Print what a study stores about people, why, how long and who sees it: one page for an ethics board."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study."""
        parser.add_argument("study", help="The study's slug.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the record."""
        record = data_record(self.study(options["study"]))
        self.tell(record=record.as_document())
        self.stdout.write(as_markdown(record))
