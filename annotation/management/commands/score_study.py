"""score_study STUDY: score the same images by another encoder, another metric, or a metric of one's own."""

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Study, StudyEvent
from annotation.studies.current import current_manifest
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
from scoring.metric_spec import OWN, SCS, MetricSpec, named_functional
from scoring.own_metrics import OwnMetric, metric_in_file
from scoring.scores import refuse_unusable_name, score_by

SECONDS_BETWEEN_LOOKS = 2.0


class Command(StudyCommand):
    """Plans the jobs and watches; a worker does them. The study's own metric and its state do not change."""

    help = "Score every image set of a study by a further metric or encoder. Stop and repeat it as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study, the metric, and the encoder as in the study file."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument(
            "--metric", default="", help="How it is computed, like vendi:order=2, or own:NAME; else scs."
        )
        parser.add_argument(
            "--metric-file", default="", help="A metric of one's own, like metric.py:score; it runs here."
        )
        parser.add_argument("--kind", choices=ENCODER_KINDS, default="clip", help="As encoder.kind in a study file.")
        parser.add_argument("--checkpoint", default="", help="A local folder or a hub id; else the study's encoder.")
        parser.add_argument("--revision", default="", help="The commit of a hub id.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan the jobs, and watch until every set has its score."""
        study = self.study(options["study"])
        _refuse_without_images(study)
        own = _own_metric(options) if options["metric_file"] else None
        spec = _spec(study, options, own)
        refuse_unusable_name(spec.identity)
        try:
            self._score_here(study, spec, own) if own else self._watch(study, spec)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped watching. The same command shows it again.")
            raise SystemExit(130) from None
        self.stdout.write(f"{study.slug} is scored by {spec.identity}.")

    def _score_here(self, study: Study, spec: MetricSpec, own: OwnMetric) -> None:
        """Score every set by a function of this machine; a worker makes the embeddings that it needs."""
        if spec.encoder:
            self._watch(study, MetricSpec(SCS, spec.encoder))
        self._record(study, spec, source_sha256=own.sha256)
        for image_set in unscored_sets_of(study, spec.identity).order_by("pk"):
            score_by(own, image_set, spec)

    def _record(self, study: Study, spec: MetricSpec, **more: str) -> None:
        """Store one event for a further metric before its first score: watching may end before the worker does."""
        count = unscored_sets_of(study, spec.identity).count()
        if count and not study.events.filter(verb="further scoring begun", detail__metric=spec.identity).exists():
            detail = {"metric": spec.identity, "sets": count, **more}
            StudyEvent.objects.create(study=study, verb="further scoring begun", detail=detail)

    def _watch(self, study: Study, spec: MetricSpec) -> None:
        printed = ""
        self._record(study, spec)
        while to_do := ensure_scores(study, spec):
            if "to do" not in to_do:
                causes = scoring_failures(study, spec.identity)
                raise CommandError(
                    "\n".join(
                        [f"{to_do}:", *causes, "Mend the cause and retry them in the admin, or give them up there."]
                    )
                )
            if to_do != printed:
                left = unscored_sets_of(study, spec.identity).count()
                how = f"a worker does it: `{command('worker')}`."
                self.stdout.write(f"{counted(left, 'set')} to score ({to_do}); {how}")
                printed = to_do
            time.sleep(SECONDS_BETWEEN_LOOKS)
            reap()


def _own_metric(options: dict[str, Any]) -> OwnMetric:
    place: str = options["metric_file"]
    name = options["metric"] or OWN + place.rpartition(":")[2]
    if not name.startswith(OWN):
        raise Refused(f"--metric {name} is not the name of a metric of one's own: write {OWN}{name}.")
    return metric_in_file(place, name=name)


def _spec(study: Study, options: dict[str, Any], own: OwnMetric | None) -> MetricSpec:
    encoder = current_manifest(study).encoder
    if options["checkpoint"]:
        encoder = EncoderSpec(kind=options["kind"], checkpoint=options["checkpoint"], revision=options["revision"])
    if encoder.length_fault:
        raise Refused(f"--checkpoint {encoder.length_fault}")
    if own:
        return MetricSpec(own.name, None if own.takes == "images" else encoder)
    name = options["metric"] or SCS
    if name == SCS and not options["checkpoint"]:
        raise Refused(
            "The study is scored by its own encoder already: name another one with --checkpoint, or --metric."
        )
    try:
        is_own = named_functional(name) is None
    except ValueError as error:
        raise Refused(f"--metric: {error}.") from error
    return MetricSpec(name, None if is_own and not options["checkpoint"] else encoder)


def _refuse_without_images(study: Study) -> None:
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has no images here: import its scores with import_scores.")
    if not study.comparisons.exists() or incomplete_sets_of(study):
        raise Refused(f"{study} still lacks images: generate or import them first.")
