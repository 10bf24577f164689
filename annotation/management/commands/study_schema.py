"""study_schema: print the JSON Schema of study files, as in docs/study.schema.json."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from annotation.studies.study_file.writing import study_file_schema
from jobs.wording import command


class Command(BaseCommand):
    """Needs no database."""

    help = f"Print the JSON Schema of study files: {command('study_schema')} > docs/study.schema.json"

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the schema."""
        self.stdout.write(json.dumps(study_file_schema(), indent=2, ensure_ascii=False))
