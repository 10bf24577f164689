"""score_study STUDY --checkpoint FOLDER: score the same images by another encoder."""

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Study, StudyEvent
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.pipeline_jobs import (
    ensure_scores,
    incomplete_sets_of,
    scoring_failures,
    unscored_sets_of,
)
from jobs.refusals import Refused
from jobs.wording import command, counted
from scoring.encoder_spec import ENCODER_KINDS, EncoderSpec

SECONDS_BETWEEN_LOOKS = 2.0


class Command(StudyCommand):
    """Plans the jobs and watches; a worker does them. The study's own metric and its state do not change."""

    help = "Score every image set of a study by a further encoder. Stop and repeat it as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, and the encoder as in the study file."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--kind", choices=ENCODER_KINDS, default="clip", help="As encoder.kind in a study file.")
        parser.add_argument("--checkpoint", required=True, help="A local folder or a hub id.")
        parser.add_argument("--revision", default="", help="The commit of a hub id.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan the jobs, and watch until every set has its score."""
        encoder = EncoderSpec(kind=options["kind"], checkpoint=options["checkpoint"], revision=options["revision"])
        if encoder.length_fault:
            raise Refused(f"--checkpoint {encoder.length_fault}")
        study = self.study(options["study"])
        _refuse_without_images(study)
        try:
            self._watch(study, encoder)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped watching. The same command shows it again.")
            raise SystemExit(130) from None
        self.stdout.write(f"{study.slug} is scored by {encoder.metric}.")

    def _record(self, study: Study, encoder: EncoderSpec) -> None:
        """Store one event for a further metric before its first score: watching may end before the worker does."""
        count = unscored_sets_of(study, encoder.metric).count()
        if count and not study.events.filter(verb="further scoring begun", detail__metric=encoder.metric).exists():
            detail = {"metric": encoder.metric, "sets": count}
            StudyEvent.objects.create(study=study, verb="further scoring begun", detail=detail)

    def _watch(self, study: Study, encoder: EncoderSpec) -> None:
        printed = ""
        self._record(study, encoder)
        while to_do := ensure_scores(study, encoder):
            if "to do" not in to_do:
                causes = scoring_failures(study, encoder.metric)
                raise CommandError(
                    "\n".join(
                        [f"{to_do}:", *causes, "Mend the cause and retry them in the admin, or give them up there."]
                    )
                )
            if to_do != printed:
                left = unscored_sets_of(study, encoder.metric).count()
                how = f"a worker does it: `{command('worker')}`."
                self.stdout.write(f"{counted(left, 'set')} to score ({to_do}); {how}")
                printed = to_do
            time.sleep(SECONDS_BETWEEN_LOOKS)
            reap()


def _refuse_without_images(study: Study) -> None:
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has no images here: import its scores with import_scores.")
    if not study.comparisons.exists() or incomplete_sets_of(study):
        raise Refused(f"{study} still lacks images: generate or import them first.")
