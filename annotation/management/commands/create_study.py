"""create_study FILE: a study from its file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.studies.lifecycle.transitions import create_study
from annotation.studies.study_file.reading import read_study_file, warnings_in_file
from annotation.studies.validation.warnings import doubts
from jobs.refusals import Refused
from jobs.wording import counted


class Command(BaseCommand):
    """Checks the whole file, makes the study, prints its slug and the hash of its manifest."""

    help = "Make a study from its study file. Every fault of the file is listed with its key and line."

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, or only a look at it."""
        parser.add_argument("file", type=Path, help="The study file (TOML).")
        parser.add_argument("--check", action="store_true", help="Check the file and make nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, check, make."""
        try:
            manifest = read_study_file(options["file"])
            study = None if options["check"] else create_study(manifest=manifest)
        except Refused as error:
            raise CommandError(str(error)) from error
        for doubt in [*doubts(manifest), *warnings_in_file(options["file"])]:
            self.stderr.write(self.style.WARNING(f"Warning: {doubt}"))
        if study is None:
            self.stdout.write(f"{options['file']} has no faults: {counted(len(manifest.prompts), 'prompt')}.")
        else:
            self.stdout.write(f"{study.slug} {study.manifest_sha256}")
