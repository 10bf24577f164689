"""delete_study STUDY [--yes]: delete a study in which nobody took part."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.report_jobs.report_jobs import delete_with_reports
from annotation.studies.lifecycle.deletion import deletion_effects, refuse_deletion


class Command(StudyCommand):
    """Shows what a deletion removes and keeps; with --yes deletes. If it is interrupted, run it again."""

    help = "Delete a study in which nobody took part. Without --yes it only says what would be removed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study and --yes."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--yes", action="store_true", help="Delete it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show what would be removed, or delete."""
        study = self.study(options["study"])
        refuse_deletion(study)
        if self.is_confirmed(f"Deleting {study.slug} removes:", deletion_effects(study), yes=options["yes"]):
            delete_with_reports(study=study)
            self.stdout.write(f"{options['study']} is deleted.")
