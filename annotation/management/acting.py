"""The base class of the commands that take one action on a study."""

from typing import Any, ClassVar

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Study
from annotation.studies.lifecycle.actions import ACTIONS


class ActionCommand(StudyCommand):
    """Takes the action of that name, and prints the state of the study afterwards."""

    action: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study."""
        parser.add_argument("study", help="The study's slug.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the action and print the outcome."""
        study = self.study(options["study"])
        self.act(study, options)
        self.tell(slug=study.slug, state=study.state)
        self.stdout.write(f"{study.slug}: {ACTIONS[self.action].done}")

    def act(self, study: Study, _options: dict[str, Any]) -> None:
        """Take the action."""
        ACTIONS[self.action].carry_out(study=study, actor=None)
        study.refresh_from_db()
