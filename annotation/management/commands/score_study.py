"""score_study STUDY: score the same images by another encoder, another metric, or a metric of one's own."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Study, StudyEvent
from annotation.studies.comparisons import set_ids
from annotation.studies.current import current_manifest
from annotation.studies.imports.similarity_import import DEFAULT_METRIC
from annotation.studies.lifecycle.periodic import reap
from annotation.studies.lifecycle.pipeline_jobs import (
    ensure_scores,
    incomplete_sets_of,
    lacks_embeddings,
    scoring_failures,
    unscored_sets_of,
)
from annotation.studies.study_file.tables import absolute_if_local
from generation.models import ImageSet
from jobs.refusals import Refused
from jobs.wording import command, counted
from scoring.embeddings import embed_set
from scoring.encoder_spec import (
    COMPARER_KINDS,
    ENCODER_KINDS,
    OWN_ENCODER,
    PREPARATIONS,
    ComparerSpec,
    EncoderSpec,
)
from scoring.metric_spec import OWN, SCS, MetricSpec, named_functional
from scoring.own_code import OwnEncoder, encoder_in_file
from scoring.own_metrics import OwnMetric, metric_in_file
from scoring.scores import refuse_other_source, refuse_unusable_name, score_by, score_set

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
        kinds = (*ENCODER_KINDS, *COMPARER_KINDS)
        parser.add_argument(
            "--encoder-file", default="", help="An image encoder of your own, like mine.py:encode; it runs here."
        )
        parser.add_argument(
            "--kind", choices=kinds, default="clip", help="As encoder.kind or comparer.kind in a study file."
        )
        parser.add_argument("--similarities", default="", help="The name of imported or computed similarities.")
        parser.add_argument("--checkpoint", default="", help="A local folder or a hub id; else the study's encoder.")
        parser.add_argument("--revision", default="", help="The commit of a hub id.")
        parser.add_argument(
            "--preparation", choices=PREPARATIONS, help="How images are prepared; else as for the study's encoder."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan the jobs, and watch until every set has its score."""
        study = self.study(options["study"])
        _refuse_without_images(study)
        own = _own_metric(options) if options["metric_file"] else None
        encoder = encoder_in_file(options["encoder_file"]) if options["encoder_file"] else None
        spec = _spec(study, options, own, encoder)
        refuse_unusable_name(spec.identity)
        try:
            if encoder:
                self._embed_here(study, encoder)
            if own:
                self._score_here(study, spec, own)
            elif _is_stored(study, spec):
                self._score_stored(study, spec)
            else:
                self._watch(study, spec)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped watching. The same command shows it again.")
            raise SystemExit(130) from None
        self.tell(slug=study.slug, metric=spec.identity)
        self.stdout.write(f"{study.slug} is scored by {spec.identity}.")

    def _embed_here(self, study: Study, encoder: OwnEncoder) -> None:
        """Embed every image of the study by a function of this machine."""
        for image_set in ImageSet.objects.filter(pk__in=set_ids(study.comparisons.all())).order_by("pk"):
            embed_set(image_set=image_set, encoder=encoder)

    def _score_here(self, study: Study, spec: MetricSpec, own: OwnMetric) -> None:
        """Score every set by a function of this machine; a worker makes the embeddings that it lacks."""
        if spec.encoder and lacks_embeddings(study, spec.encoder):
            self._watch(study, MetricSpec(SCS, spec.encoder))
        refuse_other_source(own)  # also if no set lacks its score
        self._record(study, spec, source_sha256=own.sha256)
        for image_set in unscored_sets_of(study, spec.identity).order_by("pk"):
            score_by(own, image_set, spec)

    def _score_stored(self, study: Study, spec: MetricSpec) -> None:
        """Score every set by the embeddings or the similarities that it has; one without any is refused."""
        self._record(study, spec)
        for image_set in unscored_sets_of(study, spec.identity).order_by("pk"):
            score_set(image_set=image_set, spec=spec)

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
                        [f"{to_do}:", *causes, "Correct the cause and retry them in the admin, or give them up there."]
                    )
                )
            if to_do != printed:
                left = unscored_sets_of(study, spec.identity).count()
                how = f"a worker does it: `{command('worker')}`."
                self.stdout.write(f"{counted(left, 'set')} to score ({to_do}); {how}")
                printed = to_do
            time.sleep(SECONDS_BETWEEN_LOOKS)
            reap()


def _is_stored(study: Study, spec: MetricSpec) -> bool:
    """Return whether scores follow from what is stored, so that no worker has to load anything."""
    if spec.encoder:
        return not spec.is_own and not lacks_embeddings(study, spec.encoder)
    return bool(spec.similarities) and not spec.comparer


def _own_metric(options: dict[str, Any]) -> OwnMetric:
    place: str = options["metric_file"]
    name = options["metric"] or OWN + place.rpartition(":")[2]
    if not name.startswith(OWN):
        raise Refused(f"--metric {name} is not the name of a metric of one's own: write {OWN}{name}.")
    return metric_in_file(place, name=name)


def _spec(study: Study, options: dict[str, Any], own: OwnMetric | None, own_encoder: OwnEncoder | None) -> MetricSpec:
    if options["similarities"] or options["kind"] in COMPARER_KINDS:
        return _spec_of_pairs(options)
    encoder = current_manifest(study).encoder
    is_other = bool(options["checkpoint"] or own_encoder)
    if own_encoder:
        if options["checkpoint"]:
            raise Refused("--encoder-file is the encoder: leave --checkpoint out.")
        encoder = own_encoder.spec
    elif options["checkpoint"]:
        is_function = options["kind"] == OWN_ENCODER  # known by a name, which no folder can take
        checkpoint = options["checkpoint"] if is_function else absolute_if_local(options["checkpoint"], Path.cwd())
        encoder = EncoderSpec(kind=options["kind"], checkpoint=checkpoint, revision=options["revision"])
    if options["preparation"]:
        encoder, is_other = replace(encoder, preparation=options["preparation"]), True
    if encoder.length_fault:
        raise Refused(f"--checkpoint {encoder.length_fault}")
    if own:
        return MetricSpec(own.name, None if own.takes == "images" else encoder)
    name = options["metric"] or SCS
    if name == SCS and not is_other:
        raise Refused(
            "The study is scored by its own encoder already: name another one with --checkpoint, or --metric."
        )
    try:
        is_own = named_functional(name) is None
    except ValueError as error:
        raise Refused(f"--metric: {error}.") from error
    return MetricSpec(name, None if is_own and not is_other else encoder)


def _spec_of_pairs(options: dict[str, Any]) -> MetricSpec:
    name, similarities, checkpoint = options["metric"] or DEFAULT_METRIC, options["similarities"], options["checkpoint"]
    if bool(similarities) == bool(checkpoint):
        raise Refused(
            "Give either --similarities with the name of stored similarities, or --kind and --checkpoint of what "
            "computes them."
        )
    try:
        functional = named_functional(name)
    except ValueError as error:
        raise Refused(f"--metric: {error}.") from error
    if functional is None or functional.of == "embeddings":
        raise Refused(f"--metric: {name} is not computed from similarities.")
    if similarities:
        return MetricSpec(name, None, similarities)
    return MetricSpec.compared(name, ComparerSpec(options["kind"], str(Path(checkpoint).expanduser().resolve())))


def _refuse_without_images(study: Study) -> None:
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has no images here: import its scores with import_scores.")
    if not study.comparisons.exists() or incomplete_sets_of(study):
        raise Refused(f"{study} still lacks images: generate or import them first.")
