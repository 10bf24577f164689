"""create_study FILE: create a study from its study file."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.study_file.reading import read_study_file, warnings_in_file
from jobs.wording import counted


class Command(StudyCommand):
    """Validates the whole file, creates the study, prints its slug and the hash of its manifest."""

    help = "Create a study from its study file. Every fault of the file is listed with its key and line."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file and --check."""
        parser.add_argument("file", type=Path, help="The study file (TOML).")
        parser.add_argument("--check", action="store_true", help="Validate the file and create nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Validate the file and create the study."""
        manifest = read_study_file(options["file"])
        study = None if options["check"] else create_study(manifest=manifest)
        for warning in warnings_in_file(options["file"], manifest):
            self.warn(f"Warning: {warning}")
        self.tell(prompts=len(manifest.prompts))
        if study is None:
            self.stdout.write(f"{options['file']} has no faults: {counted(len(manifest.prompts), 'prompt')}.")
        else:
            self.tell(slug=study.slug, state=study.state, manifest_sha256=study.manifest_sha256)
            self.stdout.write(f"{study.slug} {study.manifest_sha256}")
