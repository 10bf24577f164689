"""delete_study STUDY [--yes]: remove a study in which nobody took part."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.models import Study
from annotation.reports.report_jobs.deletion import delete_with_reports
from annotation.studies.lifecycle.deletion import refuse_deletion, what_goes
from jobs.refusals import Refused


class Command(BaseCommand):
    """Shows what goes and what stays; with --yes deletes. Stopped, the same command goes on."""

    help = "Delete a study in which nobody took part. Without --yes it only says what would go."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, and whether it is meant."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--yes", action="store_true", help="Delete it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show or delete."""
        try:
            study = Study.objects.get(slug=options["study"])
            refuse_deletion(study)
            self.stdout.write(f"Deleting {study.slug} removes:")
            for sentence in what_goes(study):
                self.stdout.write(f"  {sentence}")
            if not options["yes"]:
                self.stdout.write(f"Nothing was deleted. To do it: manage.py delete_study {study.slug} --yes")
                return
            delete_with_reports(study=study)
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['study']} is deleted.")
