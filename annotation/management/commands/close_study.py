"""close_study STUDY [--yes]: end the voting for good and unseal the results."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.acting import ActionCommand
from annotation.models import Study
from annotation.studies.lifecycle.actions import ACTIONS
from jobs.refusals import Refused


class Command(ActionCommand):
    """Closes a study; asks for --yes, because closing cannot be undone."""

    help = "End the voting of a study for good and unseal its results. Without --yes nothing is done."
    action = "close"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --yes."""
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="Close it.")

    def act(self, study: Study, options: dict[str, Any]) -> None:
        """Close the study if that was confirmed."""
        if not options["yes"]:
            raise Refused(f"{ACTIONS[self.action].question} To do it, give the same command with --yes.")
        super().act(study, options)
