"""run_study STUDY: launch a study and watch it until every image is made and scored."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from annotation.management.base import StudyCommand, whole_number
from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.needed_files import files_in_words
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.pipeline_jobs import set_priority
from annotation.studies.lifecycle.progress import IN_PRODUCTION, StudyProgress, progress
from annotation.studies.lifecycle.transitions import advance, launch, open_study
from annotation.studies.lifecycle.trials import trial_faults
from annotation.studies.lifecycle.workers import waits_for
from jobs.wording import command, counted

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_LINES = 10.0  # if the output is not a terminal
WITHOUT_A_WORKER_AFTER = timedelta(seconds=30)


class Command(StudyCommand):
    """Watches and calls `advance`. A worker does the jobs, and continues if this command is stopped."""

    help = "Make and score the images of a study, with a progress bar. Stop and repeat it as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, and whether it opens at the end."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument(
            "--priority", type=whole_number(0, 100), metavar="0-100", help="The highest goes first; a study has 0."
        )
        parser.add_argument("--open", action="store_true", help="Open the study to annotators at the end.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Launch the study, watch it, and open it if asked."""
        study = self.study(options["study"])
        try:
            launch(study=study)
            if options["priority"] is not None:
                set_priority(study, options["priority"])
            self._watch(study)
            _refuse_if_back_to_draft(study)
            if options["open"] and study.state != Study.State.OPEN:
                open_study(study=study)
        except KeyboardInterrupt:
            self.stdout.write(
                f"\nStopped watching. The worker goes on; `{command('run_study', study.slug)}` shows it again."
            )
            raise SystemExit(130) from None
        self.tell(slug=study.slug, state=study.state)
        self.stdout.write(f"{study.slug} is {study.state}.")

    def _watch(self, study: Study) -> None:
        started = timezone.now()
        with _Display(self.console()) as display:
            display.show(progress(study))  # before the first advance, which may plan for minutes
            while True:
                reap()
                advanced = advance(study)
                counts = progress(study)
                display.show(counts)
                if study.state not in IN_PRODUCTION:
                    return
                _refuse_if_stuck(study, counts, advanced)
                display.hint(_hint(study, counts, advanced, started))
                time.sleep(SECONDS_BETWEEN_LOOKS)


def _refuse_if_back_to_draft(study: Study) -> None:
    if study.state == Study.State.DRAFT:
        faults = trial_faults(study, current_manifest(study))
        again = command("run_study", study.slug)
        raise CommandError("\n".join([*faults, f"{study.slug} is a draft again. Correct the cause, then: {again}"]))


def _refuse_if_stuck(study: Study, counts: StudyProgress, advanced: str) -> None:
    # The counts include jobs of further metrics, for which the study does not wait.
    if (
        "failed for good" in advanced
        and counts.failures
        and not counts.waiting_job_count
        and not counts.running_job_count
    ):
        raise CommandError(
            "\n".join([f"{counted(counts.failed_job_count, 'job')} of {study.slug} failed:", *counts.failures])
            + "\nCorrect the cause and retry the failed jobs in the admin, or drop the seed there."
        )


def _hint(study: Study, counts: StudyProgress, advanced: str, started: datetime) -> str:
    """Return what the study waits for: files that are fetched, a worker, imported images; else an empty text."""
    if not counts.waiting_job_count and not counts.running_job_count:
        return advanced
    if fetching := files_in_words(study):
        return fetching
    # A worker that was started together with this command has left no sign of life yet.
    return waits_for(study, counts) if timezone.now() - started >= WITHOUT_A_WORKER_AFTER else ""


class _Rate(ProgressColumn):
    """The number of images or sets done in a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class _Display:
    """A progress bar on a terminal; elsewhere a line every SECONDS_BETWEEN_LINES."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description:7}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        # A long period: a batch of images arrives at once, and the rate should not jump with it.
        self._bars = Progress(*columns, console=console, speed_estimate_period=120, disable=not console.is_terminal)
        self._images = self._bars.add_task("images", total=None)
        self._sets = self._bars.add_task("scores", total=None)
        self._last_hint = ""
        self._next_line_at = 0.0
        self._last_line = ""

    def __enter__(self) -> "_Display":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def show(self, counts: StudyProgress) -> None:
        """Show the counts."""
        self._bars.update(self._images, completed=counts.image_count, total=counts.planned_image_count)
        self._bars.update(self._sets, completed=counts.scored_set_count, total=counts.set_count)
        line = self._line(counts)
        is_time = counts.state not in IN_PRODUCTION or time.monotonic() >= self._next_line_at
        if not self._console.is_terminal and is_time and line != self._last_line:
            self._next_line_at, self._last_line = time.monotonic() + SECONDS_BETWEEN_LINES, line
            self._console.print(line, soft_wrap=True)

    def hint(self, sentence: str) -> None:
        """Print a hint, unless it was the last one printed."""
        if sentence and sentence.split(".")[0] != self._last_hint:
            self._last_hint = sentence.split(".")[0]
            self._bars.console.print(sentence, style="yellow", soft_wrap=True)

    def _line(self, counts: StudyProgress) -> str:
        left = self._bars.tasks[self._images].time_remaining
        estimate = f", about {left:.0f} s of images left" if left else ""
        return (
            f"images {counts.image_count} of {counts.planned_image_count}, "
            f"sets scored {counts.scored_set_count} of {counts.set_count}{estimate}"
        )
