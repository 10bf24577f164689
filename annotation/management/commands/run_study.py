"""run_study STUDY: plan, enqueue and watch until every image is made and scored."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from annotation.management.console import console_on
from annotation.models import Study
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.progress import StudyProgress, progress
from annotation.studies.lifecycle.transitions import advance, launch, open_study
from annotation.studies.lifecycle.workers import waits_for
from jobs.refusals import Refused
from jobs.wording import counted

IN_THE_MAKING = (Study.State.GENERATING, Study.State.SCORING)
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_LINES = 10.0  # where the output is no terminal
WITHOUT_A_WORKER_AFTER = timedelta(seconds=30)


class Command(BaseCommand):
    """Only watches and prods: a worker does the work, and goes on when this command is stopped."""

    help = "Make and score the images of a study, with a progress bar. Stop and repeat it as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, and whether it opens at the end."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--open", action="store_true", help="Open the study to annotators at the end.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Launch, watch, open."""
        try:
            study = Study.objects.get(slug=options["study"])
            launch(study=study)
            self._watch(study)
            if options["open"] and study.state != Study.State.OPEN:
                open_study(study=study)
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write(
                f"\nStopped watching. The worker goes on; `manage.py run_study {options['study']}` shows it again."
            )
            raise SystemExit(130) from None
        self.stdout.write(f"{study.slug} is {study.state}.")

    def _watch(self, study: Study) -> None:
        started = timezone.now()
        with _Display(console_on(self.stdout)) as display:
            display.show(progress(study))  # before the first advance, which may plan for minutes
            while True:
                reap(timezone.now())
                word = advance(study)
                counts = progress(study)
                display.show(counts)
                if study.state not in IN_THE_MAKING:
                    return
                _refuse_if_stuck(study, counts)
                display.hint(_hint(counts, word, started))
                time.sleep(SECONDS_BETWEEN_LOOKS)


def _refuse_if_stuck(study: Study, counts: StudyProgress) -> None:
    if counts.failures and not counts.waiting_job_count and not counts.running_job_count:
        raise CommandError(
            "\n".join([f"{counted(counts.failed_job_count, 'job')} of {study.slug} failed:", *counts.failures])
            + "\nMend the cause and retry the failed jobs in the admin, or drop the seed there."
        )


def _hint(counts: StudyProgress, word: str, started: datetime) -> str:
    """What the watcher should know: what the study waits for, or that nobody works."""
    if not counts.waiting_job_count and not counts.running_job_count:
        return word
    now = timezone.now()
    # One that was started together with this command has left no sign yet.
    return waits_for(counts, now) if now - started >= WITHOUT_A_WORKER_AFTER else ""


class _Rate(ProgressColumn):
    """Things done in a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class _Display:
    """A progress bar on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description:7}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        # A long memory: one batch of images arrives at once, and the rate should not jump with it.
        self._bars = Progress(*columns, console=console, speed_estimate_period=120, disable=not console.is_terminal)
        self._images = self._bars.add_task("images", total=None)
        self._sets = self._bars.add_task("scores", total=None)
        self._said = ""
        self._next_line_at = 0.0
        self._last_line = ""

    def __enter__(self) -> "_Display":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def show(self, counts: StudyProgress) -> None:
        """The counts as they are now."""
        self._bars.update(self._images, completed=counts.image_count, total=counts.planned_image_count)
        self._bars.update(self._sets, completed=counts.scored_set_count, total=counts.set_count)
        line = self._line(counts)
        is_time = counts.state not in IN_THE_MAKING or time.monotonic() >= self._next_line_at
        if not self._console.is_terminal and is_time and line != self._last_line:
            self._next_line_at, self._last_line = time.monotonic() + SECONDS_BETWEEN_LINES, line
            self._console.print(line, markup=False, soft_wrap=True)

    def hint(self, sentence: str) -> None:
        """Something to know, said once."""
        if sentence and sentence.split(".")[0] != self._said:
            self._said = sentence.split(".")[0]
            self._bars.console.print(sentence, style="yellow", markup=False, soft_wrap=True)

    def _line(self, counts: StudyProgress) -> str:
        left = self._bars.tasks[self._images].time_remaining
        estimate = f", about {left:.0f} s of images left" if left else ""
        return (
            f"images {counts.image_count} of {counts.planned_image_count}, "
            f"sets scored {counts.scored_set_count} of {counts.set_count}{estimate}"
        )
