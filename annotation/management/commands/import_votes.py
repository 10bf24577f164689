"""import_votes STUDY FILE.csv: votes that were cast elsewhere."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.voting.vote_import import import_votes
from generation.refusals import Refused


class Command(BaseCommand):
    """Imports all of a file or none of it; the same file again changes nothing."""

    help = (
        "Import votes from a CSV file with the columns annotator,prompt,choice[,left_model,shown_at,voted_at,vote_id], "
        "or User Name,Prompt,Selection Choice. A choice is a model's name, left, right or tie."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The study and the file."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("file", type=Path, help="CSV, one row for each vote.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and say what was new."""
        try:
            study = Study.objects.select_related("model_a", "model_b").get(slug=options["study"])
            rules = current_manifest(study).voting_rules()
            done = import_votes(study=study, path=options["file"], rules=rules, now=timezone.now())
        except Study.DoesNotExist:
            raise CommandError(f"There is no study {options['study']!r}.") from None
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{study.slug}: {done.new_count} votes of {done.new_annotator_count} new annotators imported, "
            f"{done.unchanged_count} stood already."
        )
