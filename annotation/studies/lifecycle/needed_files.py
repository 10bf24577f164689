"""The files of the hub that a study needs, and how far they are fetched."""

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.progress import IN_PRODUCTION
from annotation.studies.manifest import Manifest, ModelPlan
from generation.hub.fetches import fetching_in_words
from generation.hub.wanted import Wanted, wanted_of
from generation.models import DiffusionModel
from scoring.encoder_spec import EncoderSpec
from scoring.encoders.checkpoints import wanted_encoder


def wanted_files(manifest: Manifest) -> list[Wanted]:
    """Return what a study needs of the hub. Raises Refused for a local folder that is not there."""
    wanted: list[Wanted] = []
    if manifest.source == "generated":
        for plan in manifest.models.values():
            wanted += wanted_of(_model(plan))
    if manifest.source != "external":
        wanted += [files for spec in _encoders(manifest) if (files := wanted_encoder(spec))]
    return list(dict.fromkeys(wanted))  # models often share a checkpoint


def _encoders(manifest: Manifest) -> list[EncoderSpec]:
    """Return the study's own encoder, then those of its further metrics."""
    return [spec.encoder for spec in manifest.computed_metrics() if spec.encoder]


def _model(plan: ModelPlan) -> DiffusionModel:
    return DiffusionModel(**plan.model_dump())


def files_in_words(study: Study) -> str:
    """Return how far the files of a study are fetched while it is made, like "Fetching 12 of 36 GB."; else empty."""
    if study.state not in IN_PRODUCTION:
        return ""
    manifest = current_manifest(study)
    revisions = [(spec.checkpoint, spec.revision) for spec in _encoders(manifest)]
    for plan in manifest.models.values():
        revisions += [(plan.checkpoint, plan.revision), (plan.lora, plan.lora_revision)]
    return fetching_in_words([(name, revision) for name, revision in revisions if name and revision])
