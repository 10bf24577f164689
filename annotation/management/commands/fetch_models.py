"""fetch_models STUDY|FILE: fetch the checkpoints, LoRAs and the encoder of a study before any job runs."""

import signal
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, close_old_connections
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from annotation.management.base import StudyCommand
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.needed_files import wanted_files
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import read_study_file
from generation.hub.answers import FetchPostponed
from generation.hub.cache import cache_folder
from generation.hub.fetches import fetch_queued, image_needs
from generation.hub.fetching import FetchPlan, check_disk, fetch, in_gb, only_fetcher, plan_fetch
from jobs.wording import counted
from scoring.encoders.checkpoints import encoder_needs

SECONDS_BETWEEN_LOOKS = 3.0
LONGEST_PAUSE = 60.0  # after a fault that passes
SECONDS_BETWEEN_LINES = 10.0  # if the output is not a terminal


class Command(StudyCommand):
    """Fetches exactly the files that are used, into the hub's cache. A second run continues where the first stopped."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the study or its file, and --queued."""
        parser.add_argument("study", nargs="?", help="The study's slug, or its study file (TOML).")
        parser.add_argument(
            "--queued", action="store_true", help="Fetch what queued jobs need, until stopped. Each worker runs this."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Fetch for one study, or for every queued job."""
        if bool(options["study"]) == options["queued"]:
            raise CommandError("Name a study or a study file, or give --queued, one of the two.")
        if options["queued"]:
            keep_fetching()
            return
        try:
            self._fetch(self._manifest(options["study"]))
        except FetchPostponed as fault:
            raise CommandError(f"{fault} The same command continues there.") from fault
        except KeyboardInterrupt:
            self.stdout.write("\nStopped. What has arrived is kept; the same command continues there.")
            raise SystemExit(130) from None

    def _manifest(self, name: str) -> Manifest:
        if name.endswith(".toml") or Path(name).is_file():
            return read_study_file(Path(name))
        return current_manifest(self.study(name))

    def _fetch(self, manifest: Manifest) -> None:
        wanted = wanted_files(manifest)
        if not wanted:
            self.stdout.write(f"{manifest.slug} needs nothing of the hub: all its checkpoints are local folders.")
            return
        with only_fetcher(may_wait=False) as is_only:
            if not is_only:
                self.stdout.write("Another process fetches into this cache; this one follows.")
        with only_fetcher(may_wait=True):
            plans = [plan_fetch(one) for one in wanted]
            check_disk(plans)
            with _Display(self.console(), plans) as display:
                for plan in plans:
                    fetch(plan, report=display.of(plan))
        total = sum(plan.byte_total for plan in plans)
        self.stdout.write(
            f"{counted(len(plans), 'repository', 'repositories')}, {in_gb(total)}: everything that {manifest.slug} "
            f"uses is in {cache_folder()}."
        )


def keep_fetching() -> None:
    """Fetch what queued jobs need until SIGTERM. A fault that passes makes the pauses longer."""
    signal.signal(signal.SIGTERM, lambda *_: _exit())
    pause = SECONDS_BETWEEN_LOOKS
    while True:
        try:
            is_waiting = fetch_queued([*image_needs(), *encoder_needs()])
            pause = min(2 * pause, LONGEST_PAUSE) if is_waiting else SECONDS_BETWEEN_LOOKS
        except DatabaseError:  # named by config.outages; it comes back
            pause = min(2 * pause, LONGEST_PAUSE)
        close_old_connections()
        time.sleep(pause)


def _exit() -> None:
    raise SystemExit(0)


class _Display:
    """A bar for each repository and one for all on a terminal; elsewhere a line every SECONDS_BETWEEN_LINES."""

    def __init__(self, console: Any, plans: list[FetchPlan]) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks = {id(plan): self._bars.add_task(plan.wanted.title, total=plan.byte_total) for plan in plans}
        self._here = {id(plan): plan.byte_total - plan.bytes_to_come for plan in plans}
        self._total = sum(plan.byte_total for plan in plans)
        self._all = self._bars.add_task("in all", total=self._total, completed=sum(self._here.values()))
        self._next_line_at = 0.0

    def __enter__(self) -> "_Display":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def of(self, plan: FetchPlan) -> Callable[[int, int], None]:
        """Return the function to call with the progress of a plan."""

        def report(here: int, total: int) -> None:
            self._here[id(plan)] = here
            done = sum(self._here.values())
            self._bars.update(self._tasks[id(plan)], completed=here)
            self._bars.update(self._all, completed=done)
            if not self._console.is_terminal and (here == total or time.monotonic() >= self._next_line_at):
                self._next_line_at = time.monotonic() + SECONDS_BETWEEN_LINES
                in_all = f"{in_gb(done)} of {in_gb(self._total)} in all"
                self._console.print(f"{plan.wanted.title}: {in_gb(here)} of {in_gb(total)}, {in_all}", soft_wrap=True)

        return report
