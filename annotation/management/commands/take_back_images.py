"""take_back_images MODEL [--prompt TEXT] [--yes]: remove images that import_images brought in."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.studies.imports.image_removal import imported_sets, take_back_images, what_goes
from jobs.refusals import Refused
from jobs.wording import counted


class Command(BaseCommand):
    """Shows what depends on the images; with --yes removes them and their files. Stopped, the same command goes on."""

    help = "Take imported images of a model back. Without --yes it only says what would go."

    def add_arguments(self, parser: CommandParser) -> None:
        """The model, which prompts, and whether it is meant."""
        parser.add_argument("model", help="The model's name.")
        parser.add_argument(
            "--prompt", action="append", default=[], metavar="TEXT", help="This prompt only; may be given again."
        )
        parser.add_argument("--yes", action="store_true", help="Remove them.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show or remove; fail if something stays."""
        try:
            sets = imported_sets(model=options["model"], prompts=options["prompt"])
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Taking back removes or changes:")
        for sentence in what_goes(sets):
            self.stdout.write(f"  {sentence}")
        if not options["yes"]:
            self.stdout.write("Nothing was removed. To do it, add --yes.")
            return
        done = take_back_images(sets)
        self.stdout.write(f"{counted(done.image_count, 'image')} in {counted(done.set_count, 'set')} removed.")
        for sentence in done.staying:
            self.stderr.write(f"stays: {sentence}")
        if done.staying:
            raise CommandError(f"{counted(len(done.staying), 'set')} stayed for the reasons above.")
