"""pool BUNDLE BUNDLE...: the agreement of several studies together, from their replay bundles."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.pooling.formats import forest_plot, to_json, to_text
from annotation.reports.pooling.studies import pool
from jobs.refusals import Refused
from jobs.whole_files import whole_file

FORMATS = {"txt": to_text, "json": to_json, "svg": forest_plot}


class Command(StudyCommand):
    """Prints the mean agreement of studies, its interval, and what a further study would give."""

    help = "The agreement of several studies together, from their replay bundles (report STUDY --format bundle)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the bundles, how ties count, and which studies have annotators in common."""
        parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="A replay bundle of each study.")
        parser.add_argument(
            "--endpoint",
            choices=("strict", "half", "dropped"),
            help="How ties count (default: as in the manifests, if they all say the same).",
        )
        parser.add_argument(
            "--same-annotators",
            nargs=2,
            action="append",
            type=Path,
            default=[],
            metavar="BUNDLE",
            help="Two of the bundles with annotators in common; give it once for each pair. They count as one study.",
        )
        parser.add_argument("--level", type=float, default=0.95, help="Of the intervals (default: 0.95).")
        parser.add_argument("--format", choices=tuple(FORMATS), default="txt")
        parser.add_argument("--out", type=Path, help="The file to write; without it the pool is printed.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Pool the bundles, and print or write the result."""
        if not 0.5 < options["level"] < 1:
            raise Refused(f"--level must lie between 0.5 and 1, not at {options['level']}.")
        made = pool(
            options["bundles"],
            endpoint=options["endpoint"],
            same_annotators=[(pair[0], pair[1]) for pair in options["same_annotators"]],
            level=options["level"],
        )
        text = FORMATS[options["format"]](made)
        if options["out"] is None:
            self.stdout.write(text, ending="")
            return
        with whole_file(options["out"]) as path:
            path.write_text(text, encoding="utf-8")
        self.stdout.write(f"{options['out']}")
