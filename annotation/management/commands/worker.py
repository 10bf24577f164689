"""worker: make images, score them, and advance studies."""

import socket
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from annotation.management.processes import running, supervise, told_to_stop, worker_plans
from generation.endpoints.accounts import make_all_known
from generation.machines.cards import choose_cards
from generation.machines.workers import queue_of
from jobs.refusals import Refused

SECONDS_TO_END = 20  # after the soft shutdown; it took 3 s on idle cores, 12 s with six times as much to do
QUEUES = {
    "gpu": "generation and scoring",
    "endpoints": "images of the endpoints in ENDPOINTS_FILE",
    "control": "what is due in each study, every half minute and after each job",
}


class Command(BaseCommand):
    """Runs one Celery process for each queue, and for each graphics card; restarts a process that dies."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the queues and the cards."""
        parser.add_argument(
            "--queues",
            default="",
            help="comma-separated: gpu, endpoints, control (default: all; endpoints only if ENDPOINTS_FILE is set)",
        )
        parser.add_argument(
            "--gpus", default="", help="a process for each card: all, or their numbers as in 0,2 (default: one process)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or Ctrl-C."""
        queues = tuple(options["queues"].split(",")) if options["queues"] else _default_queues()
        unknown = [queue for queue in queues if queue not in QUEUES]
        if unknown:
            raise CommandError(f"--queues: there is no queue {', '.join(unknown)}; there are {', '.join(QUEUES)}.")
        cards = choose_cards(options["gpus"]) if options.get("gpus") else ()
        connection.ensure_connection()  # manage.py refuses here if the database is of another version
        endpoints = _known_endpoints() if "endpoints" in queues else []
        connection.close()
        _forget_signs(queues)
        patience = settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + SECONDS_TO_END
        with (
            told_to_stop() as stop,
            running(*worker_plans(queues, cards), patience_seconds=patience, say=self.say) as children,
        ):
            for queue in queues:
                self.say(f"{queue}: {QUEUES[queue]}")
            if endpoints:
                self.say(f"endpoints: {', '.join(endpoints)}")
            for card in cards:
                self.say(f"gpu-{card.number}: {card.name}")
            self.say(
                "Ctrl-C ends the worker: running jobs get up to "
                f"{settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT} s, and are done again later if that is too short"
            )
            supervise(children, stop=stop, say=self.say)
            self.say("ending")

    def say(self, sentence: str) -> None:
        """Print one line immediately."""
        self.stdout.write(f"worker: {sentence}")
        self.stdout.flush()


def _default_queues() -> tuple[str, ...]:
    return tuple(queue for queue in QUEUES if queue != "endpoints" or settings.ENDPOINTS_FILE)


def _known_endpoints() -> list[str]:
    """Let studies name the endpoints of this worker's file, and return their names."""
    if not settings.ENDPOINTS_FILE:
        raise CommandError("--queues endpoints needs ENDPOINTS_FILE, the file that defines them: docs/endpoints.md.")
    try:
        return make_all_known()
    except Refused as refusal:
        raise CommandError(str(refusal)) from None


def _forget_signs(queues: tuple[str, ...]) -> None:
    """Delete the files of this host's earlier processes: a card that is gone would look like a process that hangs."""
    for file in (Path(settings.VAR_DIR) / "alive").glob(f"*@{socket.gethostname()}"):
        if queue_of(file.name) in queues:
            file.unlink(missing_ok=True)
