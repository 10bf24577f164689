"""verify_images [--delete] [--regenerate [--ask-endpoints]]: verify the files of all images, and repair them."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from annotation.management.base import StudyCommand
from generation.endpoints.accounts import price_of
from generation.pictures.image_storage import StorageAway
from generation.recorded_images.verification import VerificationOptions, Verified, image_count, verify
from jobs.wording import counted, storable

PATHS_NAMED = 5


class Command(StudyCommand):
    """Safe at any time: annotators may vote and workers may run meanwhile."""

    help = (
        "Verify the hash of every image and the renditions of each, and find files without a row and rows without a "
        "file. Renditions are made again from their image at once; the options repair the rest."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("--delete", action="store_true", help="delete the files that no row names")
        parser.add_argument(
            "--older-than",
            metavar="MINUTES",
            type=int,
            default=60,
            help="how old a file without a row must be (60): a file is stored before its row",
        )
        parser.add_argument(
            "--regenerate", action="store_true", help="queue the jobs of generated images whose file is gone or damaged"
        )
        parser.add_argument(
            "--ask-endpoints",
            action="store_true",
            help="with --regenerate: also ask endpoints again for their images, which may cost money",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and print the counts; fail if something stays wrong."""
        console = self.console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task("images", total=image_count())
            chosen = VerificationOptions(
                deletes=options["delete"],
                regenerates=options["regenerate"],
                asks_endpoints=options["ask_endpoints"],
                youngest=timedelta(minutes=options["older_than"]),
                advance=lambda: bars.advance(task),
            )
            try:
                found = verify(chosen)
            except StorageAway as away:
                raise CommandError(f"{away} Run the same command again when it is back.") from away
        self._print(found, chosen)
        if staying := _staying(found, chosen):
            raise CommandError(staying)

    def _print(self, found: Verified, chosen: VerificationOptions) -> None:
        verified = f"{counted(found.image_count, 'image')} and {counted(found.rendition_count, 'rendition')}"
        self.tell(**asdict(found))
        self.stdout.write(f"{verified} verified.")
        self._name(found.made_again, "rendition", "made again from the image")
        self._name(found.lost, "image", "whose file is gone")
        self._name(found.damaged, "image", "whose file is not the one that was recorded")
        self._name(found.blocked, "file", "that cannot be replaced, because something else is in the way")
        fate = "deleted" if chosen.deletes else "left; --delete deletes them"
        self._name(found.orphans, "file", f"without a row, {fate}")
        if found.requeued_count:
            self.stdout.write(f"{counted(found.requeued_count, 'job')} queued again.")

    def _name(self, paths: list[str], noun: str, what: str) -> None:
        """Print how many files are so, and the first of them."""
        if paths:
            more = ", …" if len(paths) > PATHS_NAMED else ""
            self.stdout.write(f"{counted(len(paths), noun)} {what}: {storable(', '.join(paths[:PATHS_NAMED]))}{more}")


def _staying(found: Verified, chosen: VerificationOptions) -> str:
    """Return the way out for the images that stay without their file; empty if there are none."""
    wrong = [*found.lost, *found.damaged]
    if found.blocked:
        return "Move away what is in the way, and run the same command again."
    if not wrong:
        return ""
    if not chosen.regenerates:
        return (
            f"{counted(len(wrong), 'image')} without {'its' if len(wrong) == 1 else 'their'} file: copy the images "
            "from a backup, or give --regenerate, which makes generated images again."
        )
    sentences = [_of_endpoint(name, count) for name, count in sorted(found.of_endpoints.items())]
    if found.without_a_job:
        sentences.append(
            f"{counted(len(found.without_a_job), 'image')} cannot be made again, because no job of this installation "
            "made them: copy them from a backup."
        )
    return " ".join(sentences)


def _of_endpoint(name: str, count: int) -> str:
    """Return why the images of an endpoint are not made again without being asked for."""
    price = price_of(name, count)
    cost = f", for about {price}" if price else ""
    stays, copy = ("stays without its file", "copy it") if count == 1 else ("stay without their file", "copy them")
    return (
        f"{counted(count, 'image')} of the endpoint {name} {stays}: {copy} from a backup, or give --ask-endpoints too, "
        f"which asks the endpoint for new images{cost}. They may differ from those that were shown."
    )
