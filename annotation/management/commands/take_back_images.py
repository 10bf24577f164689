"""take_back_images MODEL [--prompt TEXT] [--yes]: remove images that import_images imported."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.studies.imports.image_removal import imported_sets, removal_effects, take_back_images
from jobs.wording import counted


class Command(StudyCommand):
    """Shows what depends on the images; with --yes removes them and their files. If it is interrupted, run it again."""

    help = "Take imported images of a model back. Without --yes it only says what would be removed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the model, the prompts and --yes."""
        parser.add_argument("model", help="The model's name.")
        parser.add_argument(
            "--prompt", action="append", default=[], metavar="TEXT", help="This prompt only; may be given again."
        )
        parser.add_argument("--yes", action="store_true", help="Remove them.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show what would be removed, or remove it; fail if a set stays."""
        sets = imported_sets(model=options["model"], prompts=options["prompt"])
        if not self.is_confirmed("Taking back removes or changes:", removal_effects(sets), yes=options["yes"]):
            return
        done = take_back_images(sets)
        self.tell(**asdict(done))
        self.stdout.write(f"{counted(done.image_count, 'image')} in {counted(done.set_count, 'set')} removed.")
        for sentence in done.staying:
            self.stderr.write(f"stays: {sentence}")
        if done.staying:
            raise CommandError(f"{counted(len(done.staying), 'set')} stayed for the reasons above.")
