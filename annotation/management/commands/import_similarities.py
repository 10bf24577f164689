"""import_similarities STUDY FILE --name NAME: import similarities of two images each, and score the sets by them."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.imports.similarity_import import DEFAULT_METRIC, import_similarities
from jobs.refusals import Refused
from jobs.wording import counted
from scoring.pairs import Pairs


class Command(StudyCommand):
    """Imports all rows of a file, or none. The same file again changes nothing."""

    help = (
        "Import pairwise similarities from a file with the columns model, prompt, seed_i, seed_j, value: one row for "
        "each two images of a set. CSV, JSON Lines (.jsonl), Parquet (.parquet), or .npz with these arrays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the file, the name, what the values are, and the metric."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("file", type=Path, help="The file, with the columns model, prompt, seed_i, seed_j, value.")
        parser.add_argument("--name", required=True, help="What measured them, like lpips.")
        parser.add_argument("--distances", action="store_true", help="The values are distances: 0 is the same image.")
        parser.add_argument(
            "--bandwidth", type=float, help="h of the kernel exp(-d^2/h^2) of distances; without it 1 - d is taken."
        )
        parser.add_argument("--metric", default="", help=f"Computed from them, like worst_pair; else {DEFAULT_METRIC}.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the similarities, score the sets, and print what was new and what the file lacks."""
        bandwidth = options["bandwidth"]
        if bandwidth is not None and not options["distances"]:
            raise Refused("--bandwidth is of distances: add --distances, or leave it out.")
        if bandwidth is not None and not 0 < bandwidth < math.inf:
            raise Refused(f"--bandwidth must be a positive number, not {bandwidth:g}.")
        done = import_similarities(
            study=self.study(options["study"]),
            path=options["file"],
            name=options["name"],
            kind=Pairs(options["distances"], bandwidth),
            metric=options["metric"],
        )
        self.tell(**asdict(done))
        self.stdout.write(
            f"{options['name']}: similarities of {counted(done.new_count, 'set')} imported, "
            f"{done.unchanged_count} had these already. Scored by {', '.join(done.metrics)}."
        )
        if done.missing_count:
            stay = "stays" if done.missing_count == 1 else "stay"
            self.stdout.write(f"No rows for {counted(done.missing_count, 'set')}, which {stay} without a score.")
