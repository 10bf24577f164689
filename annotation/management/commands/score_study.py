"""score_study STUDY --checkpoint FOLDER: the same images and votes, scored by another encoder."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from annotation.models import Study, StudyEvent
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.pipeline_jobs import incomplete_sets_of, unscored_sets_of, work_on_scores
from jobs.refusals import Refused
from jobs.wording import counted
from scoring.encoder_spec import ENCODER_KINDS, EncoderSpec

SECONDS_BETWEEN_LOOKS = 2.0


class Command(BaseCommand):
    """Plans the jobs and watches: a worker does them. In whichever state the study is, its own metric stays."""

    help = "Score every image set of a study by a further encoder. Stop and repeat it as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study, and the encoder as in the study file."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument("--kind", choices=ENCODER_KINDS, default="clip", help="As encoder.kind in a study file.")
        parser.add_argument("--checkpoint", required=True, help="A local folder or a hub id.")
        parser.add_argument("--revision", default="", help="The commit of a hub id.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan, send, watch until every set has its score."""
        encoder = EncoderSpec(kind=options["kind"], checkpoint=options["checkpoint"], revision=options["revision"])
        try:
            if encoder.length_fault:
                raise Refused(f"--checkpoint {encoder.length_fault}")
            study = Study.objects.get(slug=options["study"])
            _refuse_without_images(study)
            self._watch(study, encoder)
        except Study.DoesNotExist as error:
            raise CommandError(f"There is no study {options['study']!r}.") from error
        except Refused as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("\nStopped watching. The same command goes on.")
            raise SystemExit(130) from None
        self.stdout.write(f"{study.slug} is scored by {encoder.metric}.")

    def _note(self, study: Study, encoder: EncoderSpec) -> None:
        """Store one event for a further metric, since the report shows its scores from now on."""
        count = unscored_sets_of(study, encoder.metric).count()
        if count and not study.events.filter(verb="scored further", detail__metric=encoder.metric).exists():
            detail = {"metric": encoder.metric, "sets": count}
            StudyEvent.objects.create(study=study, verb="scored further", detail=detail)

    def _watch(self, study: Study, encoder: EncoderSpec) -> None:
        said = ""
        self._note(study, encoder)
        while to_do := work_on_scores(study, encoder):
            if "to do" not in to_do:
                raise CommandError(f"{to_do}: mend the cause and retry them in the admin.")
            if to_do != said:
                left = unscored_sets_of(study, encoder.metric).count()
                self.stdout.write(f"{counted(left, 'set')} to score ({to_do}); a worker does it: `manage.py worker`.")
                said = to_do
            time.sleep(SECONDS_BETWEEN_LOOKS)
            reap(timezone.now())


def _refuse_without_images(study: Study) -> None:
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has no images here: bring scores in with import_scores.")
    if not study.comparisons.exists() or incomplete_sets_of(study):
        raise Refused(f"{study} lacks images still: they are made or imported first.")
