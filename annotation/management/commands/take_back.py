"""take_back STUDY [NUMBER] [--yes]: list the imports of a study, or take one back."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Import, Study
from annotation.studies.imports.taking_back import removal_effects, take_back
from jobs.refusals import Refused
from jobs.wording import command, counted


class Command(StudyCommand):
    """Shows what depends on an import; with --yes removes it. If it is interrupted, run it again."""

    help = "List the imports of a study, or take one back. Without --yes it only says what would be removed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the import's number and --yes."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument(
            "number", nargs="?", type=int, help="The import's number; without it all imports are listed."
        )
        parser.add_argument("--yes", action="store_true", help="Remove it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """List the imports, or show what would be removed, or remove it."""
        study = self.study(options["study"])
        if options["number"] is None:
            self._list(study)
            return
        source = study.imports.filter(pk=options["number"]).first()
        if source is None:
            listing = command("take_back", study.slug)
            raise Refused(f"{study} has no import {options['number']}; {listing} lists them.")
        if self.is_confirmed(f"Taking back {source} removes or changes:", removal_effects(source), yes=options["yes"]):
            take_back(source=source)
            self.stdout.write(f"{source} are taken back; the history of {study.slug} says so.")

    def _list(self, study: Study) -> None:
        fields = ("id", "kind", "state", "file_name", "sha256", "metric", "row_count", "created_at")
        self.tell(imports=list(study.imports.values(*fields)))
        for source in study.imports.all():
            state = "" if source.state == Import.State.DONE else ", not finished"
            self.stdout.write(
                f"{source.pk}: {_rows(source)} from {source.file_name} "
                f"({source.created_at:%Y-%m-%d %H:%M} UTC, SHA-256 {source.sha256[:12]}{state})"
            )
        if not study.imports.exists():
            self.stdout.write(f"{study} has no imported votes, scores or similarities.")


def _rows(source: Import) -> str:
    """Return what the import has stored so far, and how much of it."""
    count = source.row_count
    return {
        Import.Kind.VOTES: counted(count, "vote"),
        Import.Kind.SCORES: f"scores of {counted(count, 'comparison')} by {source.metric}",
        Import.Kind.SIMILARITIES: f"similarities of {counted(count, 'set')} under {source.metric}",
    }[Import.Kind(source.kind)]
