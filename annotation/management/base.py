"""The base class of the commands about studies, and what they print."""

import io
import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import IntegrityError
from rich.console import Console

from annotation.models import Study
from annotation.studies.nearest_names import did_you_mean
from generation.tables.printed_tables import console_on
from jobs.refusals import Refused
from jobs.wording import counted, listed, quoted

_MOST_NAMED = 10  # lines or columns


class StudyCommand(BaseCommand):
    """A command that turns a refusal into an error of one sentence, without a traceback."""

    _named_study: Study | None = None
    _has_common_format = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser, with `--format` unless the command has one of its own."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if "--format" not in parser._option_string_actions:
            self._has_common_format = True
            text = "json: one document for programs, with everything that the command prints."
            parser.add_argument("--format", choices=("text", "json"), default="text", help=text)
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; print its sentences as they come, or with `--format json` one document at the end."""
        self.facts: dict[str, Any] = {}
        if not (self._has_common_format and options.get("format") == "json"):
            return self._execute(*args, **options)
        said, warnings = io.StringIO(), io.StringIO()
        target = OutputWrapper(options["stdout"]) if options.get("stdout") else self.stdout
        caught = {"stdout": said, "stderr": warnings, "no_color": True, "force_color": False}
        error: dict[str, str] = {}
        try:
            return self._execute(*args, **(options | caught))
        except CommandError as refusal:
            error = {"error": str(refusal)}
            raise
        finally:
            lines = {"said": _lines_of(said), "warnings": _lines_of(warnings)}
            target.write(json.dumps(self.facts | lines | error, indent=2, ensure_ascii=False, default=str))

    def tell(self, **facts: Any) -> None:
        """Add facts, by name, to the document of `--format json`."""
        self.facts |= facts

    def _execute(self, *args: Any, **options: Any) -> str | None:
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
        sentences = list(sentences)
        self.tell(removes=sentences, is_removed=yes)
        for sentence in sentences:
            self.stdout.write(f"  {sentence}")
        if not yes:
            self.stdout.write("Nothing was removed. To do it, give the same command with --yes.")
        return yes


def _lines_of(written: io.StringIO) -> list[str]:
    """Return what was written as lines, without empty ones and spaces at their ends."""
    return [line.rstrip() for line in written.getvalue().splitlines() if line.strip()]


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the type of an option that takes the whole numbers between two."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def notes_on(
    *, unused: Sequence[str] = (), repeated: Sequence[int] = (), nameless: Sequence[int] = ()
) -> Iterator[str]:
    """Yield sentences on an imported file: unused columns, repeated rows, votes without an annotator's name."""
    if unused:
        names = listed([quoted(name, 50)[1:-1] for name in unused], most=_MOST_NAMED)
        yield f"Not used: the {'column' if len(unused) == 1 else 'columns'} {names}."
    if repeated:
        repeat = "that repeats" if len(repeated) == 1 else "that repeat"
        yield f"Counted once: {counted(len(repeated), 'row')} {repeat} an earlier row ({_lines(repeated)})."
    if nameless:
        yield f"Left out: {counted(len(nameless), 'vote')} without an annotator's name ({_lines(nameless)})."


def _lines(lines: Sequence[int]) -> str:
    named = ", ".join(map(str, lines[:_MOST_NAMED]))
    more = len(lines) - _MOST_NAMED
    return f"{'line' if len(lines) == 1 else 'lines'} {named}" + (f" and {more} more" if more > 0 else "")
