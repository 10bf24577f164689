"""import_scores STUDY FILE --metric NAME: import the scores of a metric that was computed elsewhere."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand, notes_on
from annotation.studies.imports.score_import import import_scores
from jobs.wording import counted

MOST_NAMED = 5


class Command(StudyCommand):
    """Imports all rows of a file, or none. The same file again changes nothing."""

    help = (
        "Import scores from a file with the columns prompt, score_a, score_b: one row for each comparison. Of more "
        "than two models: prompt, model, score. Prompts may be missing. CSV, or JSON Lines (.jsonl) or "
        "Parquet (.parquet)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the file and the metric's name."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("file", type=Path, help="CSV with the columns prompt, score_a, score_b.")
        parser.add_argument("--metric", required=True, help="The name under which the study stores the metric.")
        direction = parser.add_mutually_exclusive_group()
        for name, is_higher in (("higher", True), ("lower", False)):
            direction.add_argument(
                f"--{name}-is-more-consistent",
                dest="higher_is_more_consistent",
                action="store_const",
                const=is_higher,
                help=f"A set with a {name} score is more consistent. Needed unless the study knows the metric.",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the scores, and print what was new and what the file lacks."""
        done = import_scores(
            study=self.study(options["study"]),
            path=options["file"],
            metric=options["metric"],
            higher_is_more_consistent=options["higher_is_more_consistent"],
        )
        self.tell(**asdict(done))
        self.stdout.write(
            f"{done.metric}: {counted(done.new_count, 'comparison')} scored, "
            f"{done.unchanged_count} had these scores already."
        )
        for note in notes_on(unused=done.unused, repeated=done.repeated):
            self.stdout.write(note)
        if done.missing:
            prompts = list(dict.fromkeys(done.missing))  # of several models, a prompt has several comparisons
            first = "; ".join(f'"{prompt[:80]}"' for prompt in prompts[:MOST_NAMED])
            more = "; ..." if len(prompts) > MOST_NAMED else ""
            self.stdout.write(
                f"No row for {counted(len(done.missing), 'comparison')}, which "
                f"{'stays' if len(done.missing) == 1 else 'stay'} without a score: {first}{more}"
            )
