"""`manage.py import_images FOLDER`: images made elsewhere, by model, prompt and seed."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.image_import import ImportReport, import_images
from generation.refusals import Refused


class Command(BaseCommand):
    """Import images; list every file that was not taken, and why."""

    help = (
        "Import images made elsewhere: FOLDER/<model>/<prompt>/<seed>.jpg, or a CSV file with the columns path, "
        "model, prompt, seed (paths are relative to it). All of a prompt or nothing of it; again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """FOLDER and --model."""
        parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder, or the CSV file")
        parser.add_argument(
            "--model", metavar="NAME", help="this model only: FOLDER/NAME, or where there is none FOLDER itself"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, print what came of it, fail where something was left out."""
        try:
            report = import_images(folder=options["folder"], model=options["model"])
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(_summary(report))
        for fault in report.faults:
            self.stderr.write(f"not imported: {fault}")
        if report.refused_set_count:
            raise CommandError(
                f"{report.refused_set_count} sets were left out for the reasons above; "
                "mend the files and run the same command again."
            )


def _summary(report: ImportReport) -> str:
    return (
        f"{report.imported_set_count} sets with {report.imported_image_count} images imported, "
        f"{report.unchanged_set_count} sets unchanged."
    )
