"""erase_personal_data STUDY [--yes]: erase the personal data of a closed study's annotators; votes stay."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.report_jobs.retention import erase_personal_data, retention_effects
from jobs.wording import counted


class Command(StudyCommand):
    """Without --yes it only says what would be removed."""

    help = "Erase the personal data of a closed study's annotators. Without --yes it says what would be removed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study and the confirmation."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--yes", action="store_true", help="Erase; it cannot be undone.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is removed, and remove it."""
        study = self.study(options["study"])
        removed, kept = retention_effects(study)
        if self.is_confirmed("Removed:", removed, yes=options["yes"]):
            count = erase_personal_data(study=study)
            self.tell(annotator_count=count)
            self.stdout.write(f"The personal data of {counted(count, 'annotator')} is erased.")
        self.tell(keeps=kept)
        self.stdout.write("Kept:")
        self.stdout.write("\n".join(f"  {sentence}" for sentence in kept))
