"""report STUDY --format html|json|csv|latex|txt [--out PATH]: the agreement report of a study."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.models import Study
from annotation.reports.files import whole_file
from annotation.reports.gathering import gather
from annotation.reports.rendering import FORMATS, render
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from generation.refusals import Refused


class Command(BaseCommand):
    """Writes the report to a file and prints the claim line, or prints the report."""

    help = "The agreement report of a study, to a file or to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, the format, the metric and where to."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--format", choices=tuple(FORMATS), default="txt")
        parser.add_argument("--metric", default="", help="Which of the study's metrics (default: its own).")
        parser.add_argument("--out", type=Path, help="The file to write; without it the report is printed.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Gather, compute, render, write."""
        try:
            self._report(options)
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error

    def _report(self, options: dict[str, Any]) -> None:
        study = Study.objects.get(slug=options["study"])
        report = build_report(gather(study, manifest=current_manifest(study), metric=options["metric"]))
        text = render(report, options["format"])
        if options["out"] is None:
            self.stdout.write(text, ending="")
            return
        with whole_file(options["out"]) as path:
            path.write_text(text, encoding="utf-8")
        self.stdout.write(f"{options['out']}")
        for line in (*report.notices, report.claim):
            self.stdout.write(line)
