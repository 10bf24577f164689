"""export_votes STUDY --format csv|jsonl|parquet --out PATH: write the votes of a study, one row for each."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.exports.columns import write_codebook
from annotation.reports.exports.votes import columns, write_votes
from annotation.reports.exports.writers import FORMATS
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from jobs.whole_files import whole_file
from jobs.wording import counted


class Command(StudyCommand):
    """Writes every vote with the annotator's pseudonym; the models are left out until the study is unsealed."""

    help = "Write every vote of a study as one long row; the models are left out until the study is unsealed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the format and the file."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--format", choices=FORMATS, default="csv")
        parser.add_argument("--out", type=Path, required=True, help="The file to write.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the whole file and its codebook, or nothing."""
        out: Path = options["out"]
        study = self.study(options["study"])
        manifest = current_manifest(study)
        # The codebook is put in place first: no votes are without one, however the command ends.
        with whole_file(out) as path, whole_file(out.with_name(f"{out.stem}-codebook.csv")) as codebook:
            write_codebook(codebook, columns(study, manifest=manifest))
            count = write_votes(study, path, manifest=manifest, export_format=options["format"])
        record("votes downloaded", study=study)
        self.stdout.write(f"{counted(count, 'vote')} written to {out}")
