"""The base class of the commands about studies, and what they print."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from rich.console import Console

from annotation.models import Study
from annotation.studies.nearest_names import did_you_mean
from generation.tables.printed_tables import console_on
from jobs.refusals import Refused
from jobs.wording import counted

_MOST_LINES_NAMED = 10


class StudyCommand(BaseCommand):
    """A command that turns a refusal into an error of one sentence, without a traceback."""

    _named_study: Study | None = None

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command, and turn a refusal, or the deletion of its study, into an error of the command."""
        try:
            return super().execute(*args, **options)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        except (ObjectDoesNotExist, IntegrityError) as error:
            if self._named_study is None or Study.objects.filter(pk=self._named_study.pk).exists():
                raise
            raise CommandError(f"The study {self._named_study.slug} was deleted while this command ran.") from error

    def study(self, slug: str) -> Study:
        """Return the study of that slug. Raises Refused if there is none."""
        study = Study.objects.filter(slug=slug).first()
        if study is None:
            near = did_you_mean(slug, Study.objects.values_list("slug", flat=True))
            raise Refused(f"There is no study {slug!r}{near}.")
        self._named_study = study
        return study

    def console(self) -> Console:
        """Return a rich console that prints to the command's standard output."""
        return console_on(self.stdout)

    def warn(self, sentence: str) -> None:
        """Write a warning to standard error."""
        self.stderr.write(self.style.WARNING(sentence))

    def is_confirmed(self, heading: str, sentences: Iterable[str], *, yes: bool) -> bool:
        """Print what a removal removes, and return whether it was confirmed by --yes."""
        self.stdout.write(heading)
        for sentence in sentences:
            self.stdout.write(f"  {sentence}")
        if not yes:
            self.stdout.write("Nothing was removed. To do it, give the same command with --yes.")
        return yes


def notes_on(
    *, unused: Sequence[str] = (), repeated: Sequence[int] = (), nameless: Sequence[int] = ()
) -> Iterator[str]:
    """Yield sentences on an imported file: unused columns, repeated rows, votes without an annotator's name."""
    if unused:
        yield f"Not used: the {'column' if len(unused) == 1 else 'columns'} {', '.join(unused)}."
    if repeated:
        repeat = "that repeats" if len(repeated) == 1 else "that repeat"
        yield f"Counted once: {counted(len(repeated), 'row')} {repeat} an earlier row ({_lines(repeated)})."
    if nameless:
        yield f"Left out: {counted(len(nameless), 'vote')} without an annotator's name ({_lines(nameless)})."


def _lines(lines: Sequence[int]) -> str:
    named = ", ".join(map(str, lines[:_MOST_LINES_NAMED]))
    more = len(lines) - _MOST_LINES_NAMED
    return f"{'line' if len(lines) == 1 else 'lines'} {named}" + (f" and {more} more" if more > 0 else "")
