"""Score any folder of images, or a folder of such folders."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from generation.tables.printed_tables import console_on, print_table
from jobs.refusals import Refused
from scoring.encoder_spec import CLIP_VIT_B32, ENCODER_KINDS, PREPARATIONS, EncoderSpec, ImageEncoder
from scoring.folders import FolderScore, ImageFolder, find_image_folders, score_image_folder

SCHEMA_VERSION = 1


class Command(BaseCommand):
    """`score_folder FOLDER`: the Semantic Consistency Score of images that lie on disk, without a database."""

    help = "Score a folder of images, or every folder of images below it; needs no database."
    requires_system_checks = ()  # nothing of the installation but this command is used

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the folder, the encoder and the output format."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--encoder", default=CLIP_VIT_B32, help="Local folder or hub id (default: %(default)s).")
        parser.add_argument("--kind", choices=ENCODER_KINDS, default="clip", help="Default: clip.")
        parser.add_argument("--revision", default="", help="The pinned commit of a hub id.")
        parser.add_argument("--preparation", choices=PREPARATIONS, default="pil", help="Of images; default: pil.")
        parser.add_argument("--format", choices=("table", "json"), default="table", help="Default: table.")

    def handle(self, *, folder: Path, encoder: str, kind: str, revision: str, **options: Any) -> None:
        """Print every folder's score; fail if no folder has one."""
        try:
            folders = find_image_folders(folder)
            from scoring.encoders import loading  # takes seconds, which --help and a missing folder do without

            spec = EncoderSpec(kind, encoder, revision, options["preparation"])  # type: ignore[arg-type]
            loaded = loading.load(spec)
            scores = _score_with_progress(folders, loaded)
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        except ModuleNotFoundError as error:
            raise CommandError(
                f"{error.name} is not installed here, and image encoders need it: install the extra `generation`."
            ) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped before all folders were scored.", returncode=130) from None
        if options["format"] == "json":
            self.stdout.write(_as_json(scores, loaded))
        else:
            console = console_on(self.stdout)
            console.print(f"Semantic Consistency Score by {loaded.identity}", soft_wrap=True)
            print_table(console, _as_table(scores))
        if all(score.score is None for score in scores):
            raise CommandError(f"{folder / scores[0].folder} has no score: {scores[0].reason}.")


def _score_with_progress(folders: Sequence[ImageFolder], encoder: ImageEncoder) -> list[FolderScore]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("images"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("scoring", total=sum(len(folder.files) for folder in folders))
        return [
            score_image_folder(folder, encoder, advance=lambda count: progress.advance(bar, count))
            for folder in folders
        ]


def _as_json(scores: Sequence[FolderScore], encoder: ImageEncoder) -> str:
    document = {
        "schema_version": SCHEMA_VERSION,
        "metric": encoder.spec.metric,
        "encoder": encoder.provenance,
        "folders": [
            {
                "folder": score.folder,
                "scs": score.score,
                "n": score.image_count,
                "undefined_because": score.reason or None,
                "broken": [asdict(image) for image in score.broken],
                "remarks": [asdict(image) for image in score.remarks],
            }
            for score in scores
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_table(scores: Sequence[FolderScore]) -> Table:
    table = Table()
    table.add_column("folder", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("SCS", justify="right", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    for score in scores:
        remarks = [f"undefined: {score.reason}"] if score.reason else []
        remarks += [f"{image.file} {image.reason}" for image in (*score.broken, *score.remarks)]
        value = "-" if score.score is None else f"{score.score:.3f}"
        table.add_row(score.folder, str(score.image_count), value, "\n".join(remarks))
    return table
