"""report STUDY --format FORMAT [--out PATH], and the same with --from-bundle FILE in place of STUDY."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.models import Study
from annotation.reports.agreement_report import AgreementReport
from annotation.reports.bundle.replay import Replay, replay, replayed_report, write_bundle
from annotation.reports.files import whole_file
from annotation.reports.formats.paper import bibliography, write_comparisons, write_figures
from annotation.reports.formats.render import FORMATS
from annotation.reports.report_jobs.downloads import text_of
from annotation.reports.report_jobs.report_cache import make_report
from jobs.refusals import Refused
from jobs.wording import counted

BUNDLE, FIGURES, PARQUET, BIBTEX = "bundle", "figures", "parquet", "bibtex"


class Command(BaseCommand):
    """Writes the report to a file and prints the claim line, or prints the report."""

    help = "The agreement report of a study, or of a replay bundle, to a file or to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study or the bundle, the format, the metric and where to."""
        parser.add_argument("study", nargs="?", help="The study's slug.")
        parser.add_argument("--from-bundle", type=Path, help="A replay bundle in place of a study; needs no database.")
        parser.add_argument("--format", choices=(*FORMATS, PARQUET, FIGURES, BIBTEX, BUNDLE), default="txt")
        parser.add_argument("--metric", default="", help="Which of the study's metrics (default: its own).")
        parser.add_argument("--out", type=Path, help="The file (figures: the folder) to write; else it is printed.")
        parser.add_argument("--replaces", type=Path, help="With --format bundle: the former bundle, to be named in it.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Gather, compute, render, write."""
        try:
            self._check(options)
            if options["format"] == BUNDLE:
                self._bundle(options)
            else:
                self._report(options)
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error

    def _check(self, options: dict[str, Any]) -> None:
        if (options["study"] is None) == (options["from_bundle"] is None):
            raise Refused("Name either a study or, with --from-bundle, a bundle.")
        if options["format"] == BUNDLE and options["from_bundle"]:
            raise Refused("A bundle is made from a study, not from a bundle: copy the file.")
        if options["format"] in (BUNDLE, FIGURES, PARQUET) and options["out"] is None:
            raise Refused(f"--format {options['format']} needs --out.")
        if options["replaces"] and options["format"] != BUNDLE:
            raise Refused("--replaces goes with --format bundle.")

    def _bundle(self, options: dict[str, Any]) -> None:
        study = Study.objects.get(slug=options["study"])
        with whole_file(options["out"]) as path:
            made = write_bundle(study, path, metric=options["metric"], replaces=options["replaces"])
        self.stdout.write(f"{options['out']}")
        self.stdout.write(
            f"{counted(made.votes, 'vote')}, {counted(made.members, 'member')}; SHA-256 of its index: {made.sha256}"
        )
        if made.replaces:
            self.stdout.write(f"It replaces the bundle with the index {made.replaces}")

    def _report(self, options: dict[str, Any]) -> None:
        study = None if options["from_bundle"] else Study.objects.get(slug=options["study"])
        report = self._of_study(study, options["metric"]) if study else self._replayed(options)
        if options["out"] is None:
            self.stdout.write(_text(report, options["format"], study), ending="")
            return
        for path in _write(report, options["format"], options["out"], study):
            self.stdout.write(f"{path}")
        for line in (*report.notices, report.claim):
            self.stdout.write(line)

    def _of_study(self, study: Study, metric: str) -> AgreementReport:
        if not self.stderr.isatty():
            return make_report(study, metric=metric).report
        made = make_report(study, metric=metric, progress=self._tell)
        self._tell(1.0, "")
        return made.report

    def _tell(self, share: float, step: str) -> None:
        """On one line of the terminal, never in a file or a pipe."""
        self.stderr.write(f"{share:4.0%} {step:40}", style_func=str, ending="\r")

    def _replayed(self, options: dict[str, Any]) -> AgreementReport:
        found = replay(options["from_bundle"])
        if options["metric"] not in ("", found.data.metric):
            raise Refused(f"The bundle was made for the metric {found.data.metric!r}; make another for other metrics.")
        # Beside the report, never in it: it may be on its way through a pipe.
        stream = self.stdout if options["out"] else self.stderr
        for line in _verdict(found):
            stream.write(line)
        return replayed_report(found, options["from_bundle"])


def _text(report: AgreementReport, report_format: str, study: Study | None) -> str:
    return bibliography() if report_format == BIBTEX else text_of(report, report_format, study)


def _write(report: AgreementReport, report_format: str, out: Path, study: Study | None) -> list[Path]:
    """Write the report in a format; returns the files."""
    if report_format == FIGURES:
        return write_figures(report, out)
    with whole_file(out) as path:
        if report_format == PARQUET:
            write_comparisons(report, path)
        else:
            path.write_text(_text(report, report_format, study), encoding="utf-8")
    return [out]


def _verdict(found: Replay) -> tuple[str, ...]:
    lines = [
        f"Every hash of {counted(found.member_count, 'member')} holds; SHA-256 of the bundle's index: {found.sha256}"
    ]
    if found.replaces:
        lines.append(f"It replaces the bundle with the index {found.replaces}")
    if found.data.tombstones:
        votes = sum(stone.votes for stone in found.data.tombstones)
        lines.append(f"Withdrawals before it was made: {len(found.data.tombstones)}, with {counted(votes, 'vote')}")
    for again in found.rescored.values():
        same = again.count - again.differing
        lines.append(
            f"Scores computed again from the embeddings: {same} of {again.count} are the same, "
            f"the largest difference is {again.largest_difference:.2g}."
        )
    return tuple(lines)
