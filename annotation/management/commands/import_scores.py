"""import_scores STUDY FILE.csv --metric NAME: the scores of a metric that was computed elsewhere."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.management.table_notes import notes_on
from annotation.models import Study
from annotation.studies.imports.score_import import import_scores
from jobs.refusals import Refused
from jobs.wording import counted

FEW = 5


class Command(BaseCommand):
    """Imports all of a file or none of it; the same file again changes nothing."""

    help = (
        "Import scores from a file with the columns prompt, score_a, score_b: one row for each comparison; prompts may "
        "be missing. CSV, or JSON Lines (.jsonl) or Parquet (.parquet)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, the file, the metric's name."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("file", type=Path, help="CSV with the columns prompt, score_a, score_b.")
        parser.add_argument("--metric", required=True, help="What the metric is called from now on.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and say what was new, and what the file lacks."""
        try:
            study = Study.objects.get(slug=options["study"])
            done = import_scores(study=study, path=options["file"], metric=options["metric"])
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{done.metric}: {counted(done.new_count, 'comparison')} scored, "
            f"{done.unchanged_count} had these scores already."
        )
        for note in notes_on(unused=done.unused, repeated=done.repeated):
            self.stdout.write(note)
        if done.missing:
            first = "; ".join(f'"{prompt[:80]}"' for prompt in done.missing[:FEW])
            more = "; ..." if len(done.missing) > FEW else ""
            self.stdout.write(
                f"No row for {counted(len(done.missing), 'comparison')}, which stay without a score: {first}{more}"
            )
