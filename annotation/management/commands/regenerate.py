"""regenerate IMAGE [--output FILE]: make a recorded image again, and say whether it is the same."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from generation.pictures.pixels import png
from generation.sampling.regeneration import Regenerated, find_image, regenerate
from jobs.whole_files import write


class Command(StudyCommand):
    """Runs on a worker's host: it loads the model. Nothing that is stored changes."""

    help = "Make a generated image again, and say how it differs and which recorded circumstance has changed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the image and the file."""
        parser.add_argument("image", metavar="IMAGE", help="its id, path below the media folder, or SHA-256")
        parser.add_argument("--output", metavar="FILE", type=Path, help="where to write the new image, as PNG")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it again and compare."""
        image = find_image(options["image"])
        again = regenerate(image)
        self.tell(is_identical=again.is_identical, largest=again.largest, mean=again.mean)
        self.tell(changes=[str(change) for change in again.changes], unrecorded=list(again.unrecorded))
        self.stdout.write(f"{image}: {_verdict(again)}")
        for change in again.changes:
            self.stdout.write(f"  changed: {change}")
        if again.unrecorded:
            self.stdout.write(f"  not recorded then: {', '.join(again.unrecorded)}")
        if options["output"]:
            write(options["output"], png(again.image))
            self.stdout.write(f"The new image is in {options['output']}.")


def _verdict(again: Regenerated) -> str:
    if again.is_identical:
        return "identical."
    cause = "" if again.changes else " although no recorded circumstance has changed"
    return f"it differs by at most {again.largest} of 255, by {again.mean:.3f} on average{cause}."
