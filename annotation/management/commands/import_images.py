"""import_images FOLDER: import images made elsewhere, by model, prompt and seed."""

from argparse import ArgumentTypeError
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from annotation.management.base import StudyCommand
from annotation.studies.imports.imported_images import refuse_unknown_model, unknown_names
from generation.imports.conversion import Size
from generation.imports.image_import import ImportOptions, ImportReport, import_layout
from generation.imports.layouts import Layout, read_layout
from jobs.wording import counted


class Command(StudyCommand):
    """Names the models and prompts that no study knows, imports, and lists every file that was left out, and why."""

    help = (
        "Import images made elsewhere: FOLDER/<model>/<prompt>/<seed>.jpg, or a CSV file with the columns path, "
        "model, prompt, seed (paths are relative to it). A prompt is imported whole or not at all; "
        "running the command again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the folder and the options for reading it."""
        parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder, or the CSV file")
        parser.add_argument(
            "--model",
            metavar="NAME",
            help="this model only: FOLDER/NAME, or FOLDER itself if that is not there and a study has the model",
        )
        parser.add_argument(
            "--size",
            metavar="WxH",
            type=_size,
            help="cut every image to this shape around its middle, then scale it down; use one size for both models",
        )
        parser.add_argument(
            "--processes",
            metavar="N",
            type=_positive,
            help="how many processes read images (default: one for each core)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the images and print the result; fail if an image set was left out."""
        try:
            if options["model"] is not None:
                refuse_unknown_model(options["folder"], options["model"])
            layout = read_layout(options["folder"], model=options["model"])
            for sentence in unknown_names(layout):
                self.warn(f"Note: {sentence}")
            report = _import(layout, size=options["size"], processes=options["processes"])
        except OSError as error:
            raise CommandError(
                f"Stopped: {error.strerror or error} ({error.filename}). What was imported stays; "
                "run the same command again."
            ) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. What was imported stays; run the same command again.", returncode=130
            ) from None
        self._print(report)

    def _print(self, report: ImportReport) -> None:
        self.tell(**asdict(report) | {"faults": [str(fault) for fault in report.faults]})
        self.stdout.write(
            f"{counted(report.imported_set_count, 'set')} with {counted(report.imported_image_count, 'image')} "
            f"imported, {counted(report.unchanged_set_count, 'set')} unchanged."
        )
        for remark in report.remarks:
            self.warn(f"Look at {remark}")
        for fault in report.faults:
            self.stderr.write(f"not imported: {fault}")
        if report.refused_set_count:
            is_one = report.refused_set_count == 1
            raise CommandError(
                f"{counted(report.refused_set_count, 'set')} {'was' if is_one else 'were'} left out for the reasons "
                "above; correct the files and run the same command again."
            )


def _import(layout: Layout, *, size: Size | None, processes: int | None) -> ImportReport:
    """Import the images, with a progress bar if standard error is a terminal."""
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TextColumn("images"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("importing", total=sum(len(prompt.files) for prompt in layout.prompts))
        advance = lambda count: progress.advance(bar, count)  # noqa: E731 - one line, as in score_folder
        return import_layout(layout, ImportOptions(size=size, processes=processes, advance=advance))


def _size(text: str) -> Size:
    width, _, height = text.lower().partition("x")
    if not all(part.isascii() and part.isdigit() and len(part) < 6 and int(part) for part in (width, height)):
        raise ArgumentTypeError(f"{text!r} is not a size: write width x height in pixels, like 512x512")
    return int(width), int(height)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
