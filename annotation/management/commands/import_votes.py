"""import_votes STUDY FILE: import votes that were cast elsewhere."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from annotation.management.base import StudyCommand, notes_on
from annotation.models import Study
from annotation.reports.data.leaks import leak_rows
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.studies.current import current_manifest
from annotation.studies.nearest_names import did_you_mean
from annotation.voting.imports.vote_import import import_votes
from annotation.voting.imports.vote_line import Names
from jobs.wording import counted


class Command(StudyCommand):
    """Imports all rows of a file, or none. The same file again changes nothing."""

    help = (
        "Import votes from a file with the columns annotator,prompt,choice[,left_model,shown_at,voted_at,vote_id], or "
        "User Name,Prompt,Selection Choice, or from the vote export of a study with the same prompts and models. A "
        "choice is a model's name, left, right or tie. CSV, or JSON Lines (.jsonl) or Parquet (.parquet)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the file, and how the annotators' names are read."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("file", type=Path, help="One row for each vote.")
        parser.add_argument(
            "--leave-out-blank-names",
            action="store_true",
            help="Leave out votes without an annotator's name; the report says how many.",
        )
        parser.add_argument(
            "--prefix",
            metavar="TEXT",
            default="",
            help="Put this before each annotator's name, so that people of two files with the same names stay apart.",
        )
        parser.add_argument(
            "--same-people",
            action="store_true",
            help="Treat equal names in this file and in earlier files as the same people.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the votes, and print what was new and what was not used."""
        study = self.study(options["study"])
        done = import_votes(
            study=study,
            path=options["file"],
            rules=current_manifest(study).voting_rules(),
            now=timezone.now(),
            names=Names(options["leave_out_blank_names"], options["prefix"], options["same_people"]),
        )
        self.tell(**asdict(done))
        self.stdout.write(
            f"{study.slug}: {counted(done.new_count, 'vote')} of "
            f"{counted(done.new_annotator_count, 'new annotator')} imported, "
            f"{done.unchanged_count} {'was' if done.unchanged_count == 1 else 'were'} stored already."
        )
        notes = notes_on(unused=done.unused, repeated=done.repeated, nameless=done.nameless)
        for note in (*notes, *_unknown_sources(study)):
            self.stdout.write(note)


def _unknown_sources(study: Study) -> Iterator[str]:
    """Yield a sentence for each name that `leaks_from` of the manifest gives and no annotator of the study has."""
    annotators, names = list(study.annotators.order_by("pk")), pseudonyms(study)
    for row in leak_rows(current_manifest(study), [(one.label, names[one.pk]) for one in annotators]):
        if row.name and not row.pseudonym:
            near = did_you_mean(row.name, [one.label for one in annotators if one.label])
            key = f"analysis.leaks_from.{row.metric}"
            yield f"{key} names “{row.name}”, a name that no annotator has{near}: no vote is left out for it."
