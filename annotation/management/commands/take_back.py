"""take_back STUDY [NUMBER] [--yes]: the imports of a study; remove what one of them brought in."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.models import Import, Study
from annotation.studies.imports.taking_back import take_back, what_goes
from jobs.refusals import Refused
from jobs.wording import counted


class Command(BaseCommand):
    """Shows what depends on an import; with --yes removes it. Stopped, the same command goes on."""

    help = "List the imports of a study, or take one back. Without --yes it only says what would go."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, the import's number, and whether it is meant."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument(
            "number", nargs="?", type=int, help="The import's number; without it all imports are listed."
        )
        parser.add_argument("--yes", action="store_true", help="Remove it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """List, show or remove."""
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study {options['study']!r}.")
        if options["number"] is None:
            self._list(study)
            return
        source = study.imports.filter(pk=options["number"]).first()
        if source is None:
            raise CommandError(
                f"{study} has no import {options['number']}; manage.py take_back {study.slug} lists them."
            )
        self._take_back(source, is_meant=options["yes"])

    def _list(self, study: Study) -> None:
        for source in study.imports.all():
            state = "" if source.state == Import.State.DONE else ", not finished"
            metric = f" by {source.metric}" if source.metric else ""
            self.stdout.write(
                f"{source.pk}: {_rows(source)}{metric} from {source.file_name} "
                f"({source.created_at:%Y-%m-%d %H:%M} UTC, SHA-256 {source.sha256[:12]}{state})"
            )
        if not study.imports.exists():
            self.stdout.write(f"{study} has no imported votes or scores.")

    def _take_back(self, source: Import, *, is_meant: bool) -> None:
        slug, number = source.study.slug, source.pk
        self.stdout.write(f"Taking back {source} removes or changes:")
        for sentence in what_goes(source):
            self.stdout.write(f"  {sentence}")
        if not is_meant:
            self.stdout.write(f"Nothing was removed. To do it: manage.py take_back {slug} {number} --yes")
            return
        try:
            take_back(source=source)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{source} are taken back; the history of {slug} says so.")


def _rows(source: Import) -> str:
    """The size of the import: votes, or comparisons with scores; nobody has counted a part."""
    if source.state == Import.State.UNFINISHED:
        return f"a part of the {source.kind}"
    if source.kind == Import.Kind.VOTES:
        return counted(source.row_count, "vote")
    return f"scores of {counted(source.row_count, 'comparison')}"
