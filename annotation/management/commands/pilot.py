"""pilot STUDY [--prompts N] [--overlap K]: make a pilot of a study; of a pilot, print what it says."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.reports.formats.document import as_document
from annotation.reports.pilot.words import answer, to_text
from annotation.reports.report_jobs.report_jobs import result_at_once
from annotation.studies.pilot.making import make_pilot


class Command(StudyCommand):
    """Makes a pilot, or prints the result of one."""

    help = (
        "Make a pilot of a draft or ready study: prompts drawn from the study are moved into it. If the study is a "
        "pilot, print its pace and, once it is closed, the reliability of its votes and the sample size that follows."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the size of the pilot, and what its result assumes."""
        parser.add_argument("study", help="The slug of a study, or of a pilot.")
        parser.add_argument("--prompts", type=int, help="Prompts of the pilot (default: a fifth, at most 20).")
        parser.add_argument("--overlap", type=int, help="Votes for each comparison (default: as in the study).")
        parser.add_argument("--agreement", type=float, help="Assumed agreement of the metric (of a pilot's result).")
        parser.add_argument("--baseline", type=float, help="Assumed share of always naming one model.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the pilot, or print the result."""
        study = self.study(options["study"])
        if study.pilot_of is None:
            pilot = make_pilot(study=study, prompts=options["prompts"], overlap=options["overlap"])
            self.tell(slug=pilot.slug, pilot_of=study.slug, state=pilot.state)
            self.stdout.write(f"{pilot.slug}: a draft, whose prompts have left {study.slug}. Launch it next.")
            return
        result = result_at_once(study, agreement=options["agreement"], baseline=options["baseline"])
        self.tell(answer=answer(result), result=as_document(result))
        self.stdout.write(to_text(result), ending="")
