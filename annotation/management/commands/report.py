"""report STUDY --format FORMAT [--out PATH]: write the report of a study, or of a bundle (--from-bundle FILE)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Study
from annotation.reports.bundle.replay import Replay, replay, replayed_report, write_bundle
from annotation.reports.data.pairs import of_pair, pair_of
from annotation.reports.figures.style import COLUMN, PAGE
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.card import to_card
from annotation.reports.formats.latex import write_latex
from annotation.reports.formats.paper import write_comparisons, write_figures
from annotation.reports.formats.pdf import PAPERS, write_pdf
from annotation.reports.printing.references import bibliography
from annotation.reports.report_jobs.downloads import FORMATS, html_text, report_text
from annotation.reports.report_jobs.report_cache import cached_report
from annotation.studies.current import current_manifest
from annotation.studies.documents import document, lacks_codes
from jobs.refusals import Refused
from jobs.whole_files import whole_file
from jobs.wording import counted

BUNDLE, PARQUET, BIBTEX, CARD, PDF = "bundle", "parquet", "bibtex", "card", "pdf"
FOLDERS = {"figures": write_figures, "latex-figures": write_latex}  # formats of several files


class Command(StudyCommand):
    """Writes the report to a file and prints the claim, or prints the report."""

    help = "The agreement report of a study, or of a replay bundle, to a file or to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study or the bundle, the format, the metric and the file."""
        parser.add_argument("study", nargs="?", help="The study's slug.")
        parser.add_argument("--from-bundle", type=Path, help="A replay bundle in place of a study; needs no database.")
        parser.add_argument("--format", choices=(*FORMATS, PDF, CARD, PARQUET, *FOLDERS, BIBTEX, BUNDLE), default="txt")
        parser.add_argument(
            "--metric", default="", help="The metric to report on (default: the one in the study file)."
        )
        parser.add_argument(
            "--pair",
            nargs=2,
            default=(),
            metavar="MODEL",
            help="Two models of a study of several: the report of their comparisons alone.",
        )
        parser.add_argument(
            "--out",
            type=Path,
            help="The file to write, for figures and latex-figures the folder; without it the report is printed.",
        )
        parser.add_argument(
            "--width",
            type=int,
            choices=(COLUMN, PAGE),
            default=COLUMN,
            help="With --format figures: their width in mm, of one column of a journal or of both.",
        )
        parser.add_argument("--paper", choices=PAPERS, default=PAPERS[0], help="With --format pdf: the size of a page.")
        parser.add_argument(
            "--replaces",
            type=Path,
            help="With --format bundle: the earlier bundle that the new one replaces and names.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the report, and print or write it."""
        _refuse_contradictions(options)
        if options["format"] == BUNDLE:
            self._bundle(options)
        else:
            self._report(options)

    def _bundle(self, options: dict[str, Any]) -> None:
        study = self.study(options["study"])
        with whole_file(options["out"]) as path:
            made = write_bundle(study, path, metric=options["metric"], replaces=options["replaces"])
        self.stdout.write(f"{options['out']}")
        self.stdout.write(
            f"{counted(made.votes, 'vote')}, {counted(made.members, 'member')}; SHA-256 of its index: {made.sha256}"
        )
        if made.replaces:
            self.stdout.write(f"It replaces the bundle with the index {made.replaces}")

    def _report(self, options: dict[str, Any]) -> None:
        study = None if options["from_bundle"] else self.study(options["study"])
        report = self._of_study(study, options) if study else self._replayed(options)
        if options["out"] is None:
            self.stdout.write(_text(report, options["format"], study), ending="")
            return
        for path in _write(report, options, study):
            self.stdout.write(f"{path}")
        for line in (*report.notices, report.claim):
            self.stdout.write(line)

    def _of_study(self, study: Study, options: dict[str, Any]) -> AgreementReport:
        metric, pair = options["metric"], pair_of(current_manifest(study), options["pair"])
        if not self.stderr.isatty():
            return cached_report(study, metric=metric, pair=pair).report
        made = cached_report(study, metric=metric, pair=pair, progress=self._show_progress)
        self._show_progress(1.0, "")
        return made.report

    def _show_progress(self, share: float, step: str) -> None:
        """Overwrite one line of the terminal with the progress. It is never written to a file or a pipe."""
        self.stderr.write(f"{share:4.0%} {step:40}", style_func=str, ending="\r")

    def _replayed(self, options: dict[str, Any]) -> AgreementReport:
        bundle = replay(options["from_bundle"])
        if options["metric"] not in ("", bundle.data.metric):
            raise Refused(f"The bundle was made for the metric {bundle.data.metric!r}; make another for other metrics.")
        # Not between the lines of a report that is printed, perhaps into a pipe.
        stream = self.stdout if options["out"] else self.stderr
        for line in _verdict(bundle):
            stream.write(line)
        pair = pair_of(bundle.data.manifest, options["pair"])
        return replayed_report(replace(bundle, data=of_pair(bundle.data, pair)), options["from_bundle"])


def _refuse_contradictions(options: dict[str, Any]) -> None:
    if (options["study"] is None) == (options["from_bundle"] is None):
        raise Refused("Name either a study or, with --from-bundle, a bundle.")
    if options["format"] == BUNDLE and options["from_bundle"]:
        raise Refused("A bundle is made from a study, not from a bundle: copy the file.")
    if options["format"] in (BUNDLE, *FOLDERS, PARQUET, CARD, PDF) and options["out"] is None:
        raise Refused(f"--format {options['format']} needs --out.")
    if options["format"] == BUNDLE and options["pair"]:
        raise Refused("A bundle holds the whole study; --pair goes with --from-bundle when it is read.")
    if options["replaces"] and options["format"] != BUNDLE:
        raise Refused("--replaces needs --format bundle.")


def _text(report: AgreementReport, report_format: str, study: Study | None) -> str:
    return bibliography() if report_format == BIBTEX else report_text(report, report_format, study)


def _write(report: AgreementReport, options: dict[str, Any], study: Study | None) -> list[Path]:
    """Write the report in a format, and return the files."""
    report_format, out = options["format"], options["out"]
    if report_format == "figures":
        return write_figures(report, out, width=options["width"])
    if report_format in FOLDERS:
        return FOLDERS[report_format](report, out)
    with whole_file(out) as path:
        match report_format:
            case "parquet":
                write_comparisons(report, path)
            case "card":
                path.write_bytes(to_card(report))
            case "pdf":
                write_pdf(html_text(report, study, paper=options["paper"]), path)
            case _:
                path.write_text(_text(report, report_format, study), encoding="utf-8")
    return [out]


def _verdict(bundle: Replay) -> tuple[str, ...]:
    lines = [
        f"Every hash of {counted(bundle.member_count, 'member')} holds; SHA-256 of the bundle's index: {bundle.sha256}"
    ]
    if lacks_codes(document(bundle.data.manifest)):
        lines.append("Its manifest lacks the completion codes, so only a person who has them can compute its hash.")
    if bundle.replaces:
        lines.append(f"It replaces the bundle with the index {bundle.replaces}")
    if bundle.data.tombstones:
        votes = sum(stone.votes for stone in bundle.data.tombstones)
        lines.append(f"Withdrawals before it was made: {len(bundle.data.tombstones)}, with {counted(votes, 'vote')}")
    for again in bundle.rescored.values():
        same = again.count - again.differing
        lines.append(
            f"Scores computed again from the embeddings: {same} of {again.count} are the same, "
            f"the largest difference is {again.largest_difference:.2g}."
        )
    return tuple(lines)
