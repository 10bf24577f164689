"""plan_study [STUDY.toml | --study SLUG]: compute how many prompts, annotators and images a study needs."""

from argparse import BooleanOptionalAction
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.plan import plan_figure, to_json, to_text
from annotation.studies.planning.design import design_of_study
from annotation.studies.planning.question import MEANING, Assumptions, Chance, Design, Goal, ask, design_of
from annotation.studies.planning.sample_size import plan_study
from annotation.studies.study_file.reading import read_study_file
from jobs.refusals import Refused
from jobs.whole_files import whole_file

FORMATS = {"txt": to_text, "json": to_json, "svg": plan_figure}


class Command(StudyCommand):
    """Prints the plan from simulated studies of the design, their curves, and what the exact test needs."""

    help = "How many prompts, votes, annotators and images a study needs for a wanted difference or interval."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study file, and an option for each part of the question."""
        parser.add_argument("file", nargs="?", type=Path, help="A study file to start from; options override it.")
        parser.add_argument("--study", help="The slug of an existing study, instead of a file.")
        for part in (Design(), Assumptions(), Goal(), Chance()):
            for field in fields(part):
                default = getattr(part, field.name)
                kind = int if default is None else type(default)
                known = "" if default is None else f" (default: {default})"
                text = f"{MEANING[field.name]}{known}".replace("%", "%%")
                how: dict[str, Any] = {"action": BooleanOptionalAction} if kind is bool else {"type": kind}
                parser.add_argument(f"--{field.name.replace('_', '-')}", default=None, help=text, **how)
        parser.add_argument("--format", choices=tuple(FORMATS), default="txt")
        parser.add_argument("--out", type=Path, help="The file to write; without it the plan is printed.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute the plan, and print or write it."""
        given = {name: options[name] for name in MEANING if options[name] is not None}
        text = FORMATS[options["format"]](plan_study(ask(self._design(options), **given)))
        if options["out"] is None:
            self.stdout.write(text, ending="")
            return
        with whole_file(options["out"]) as path:
            path.write_text(text, encoding="utf-8")
        self.stdout.write(f"{options['out']}")

    def _design(self, options: dict[str, Any]) -> Design:
        if options["file"] and options["study"]:
            raise Refused("Name either a study file or, with --study, an existing study.")
        if options["file"]:
            return design_of(read_study_file(options["file"]))
        return design_of_study(self.study(options["study"])) if options["study"] else Design()
