"""simulate_votes STUDY --annotators N --noise X --seed S: cast votes of simulated annotators, marked as simulated."""

from typing import Any

from django.core.management.base import CommandParser
from rich.progress import Progress

from annotation.management.base import StudyCommand
from annotation.studies.current import current_manifest
from annotation.voting.simulation.simulated_votes import Crowd, simulate
from jobs.wording import counted


class Command(StudyCommand):
    """Continues after an interruption; if all votes are cast, it casts none."""

    help = "Let simulated annotators vote in an open study. They look at the pixels, never at a score."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study and the crowd."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--annotators", type=int, default=5, help="How many (default 5).")
        parser.add_argument(
            "--noise",
            type=float,
            default=1.0,
            help="Standard deviation of an annotator's error, in units of the study's typical difference (default 1).",
        )
        parser.add_argument(
            "--careless",
            type=int,
            default=0,
            help="How many of them do not look: they choose the left side and fail every attention check (default 0).",
        )
        parser.add_argument("--seed", type=int, default=0, help="The seed of every random draw (default 0).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Simulate with a progress bar, then print how many votes were cast."""
        crowd = Crowd(**{name: options[name] for name in ("annotators", "noise", "seed", "careless")})
        study = self.study(options["study"])
        rules = current_manifest(study).voting_rules()
        console = self.console()
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("votes", total=None)
            count = simulate(
                study=study,
                rules=rules,
                crowd=crowd,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        self.tell(slug=study.slug, votes=count, annotators=crowd.annotators)
        self.stdout.write(
            f"{study.slug}: {counted(count, 'vote')} of {counted(crowd.annotators, 'simulated annotator')} cast."
        )
