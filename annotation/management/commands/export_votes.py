"""export_votes STUDY --format csv|jsonl|parquet --out PATH: one long row a vote."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.models import Study
from annotation.reports.exports.columns import write_codebook
from annotation.reports.exports.votes import columns, write_votes
from annotation.reports.exports.writers import FORMATS
from annotation.reports.files import whole_file
from annotation.studies.current import current_manifest
from jobs.refusals import Refused
from jobs.wording import counted


class Command(BaseCommand):
    """Writes every vote, under the annotator's pseudonym; while the study is sealed without the models behind them."""

    help = "Every vote of a study as one long row; models stay out of it while the study is sealed."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, the format and the file."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--format", choices=FORMATS, default="csv")
        parser.add_argument("--out", type=Path, required=True, help="The file to write.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file whole or not at all."""
        out: Path = options["out"]
        try:
            study = Study.objects.get(slug=options["study"])
            manifest = current_manifest(study)
            with whole_file(out) as path:
                count = write_votes(study, path, manifest=manifest, export_format=options["format"])
            with whole_file(out.with_name(f"{out.stem}-codebook.csv")) as path:
                write_codebook(path, columns(study, manifest=manifest))
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{counted(count, 'vote')} written to {out}")
