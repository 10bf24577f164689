"""Make a study from a manifest: its row, its models, version 1 of its manifest."""

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from annotation.models import ManifestVersion, Study, StudyEvent
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.manifest import Manifest, ModelPlan, document, sha256
from generation.models import DiffusionModel
from generation.refusals import Refused

Actor = User | None


@transaction.atomic
def create_study(*, manifest: Manifest, actor: Actor = None) -> Study:
    """A new study, as a draft. An external one generates and shows nothing: it is closed from the start.

    Refused where the slug is taken, or where a model of the same name is set up differently.
    """
    if Study.objects.filter(slug=manifest.slug).exists():
        raise Refused(
            f"slug: a study called {manifest.slug} exists already; give another slug, or another name to draw it from."
        )
    is_external = manifest.source == "external"
    study = Study.objects.create(
        slug=manifest.slug,
        name=manifest.name,
        source=manifest.source,
        model_a=diffusion_model_of(manifest, manifest.model_a),
        model_b=diffusion_model_of(manifest, manifest.model_b),
        manifest_sha256=sha256(manifest),
        created_by=actor,
        state=Study.State.CLOSED if is_external else Study.State.DRAFT,
        closed_at=timezone.now() if is_external else None,
    )
    append_version(study=study, manifest=manifest, reason="", actor=actor)
    StudyEvent.objects.create(study=study, verb="created", detail={"sha256": study.manifest_sha256}, actor=actor)
    if is_external:
        plan_comparisons(study, manifest)
    return study


def append_version(*, study: Study, manifest: Manifest, reason: str, actor: Actor) -> ManifestVersion:
    """The next version of the study's manifest; the caller changes the study's hash in the same transaction."""
    return ManifestVersion.objects.create(
        study=study,
        number=study.manifest_versions.count() + 1,
        document=document(manifest),
        sha256=sha256(manifest),
        reason=reason,
        created_by=actor,
    )


def diffusion_model_of(manifest: Manifest, plan: ModelPlan, *, draft: Study | None = None) -> DiffusionModel:
    """The model of that name, made where there is none; Refused where it is set up differently.

    A plan without a checkpoint generates nothing, so there the name alone says which model is meant. A model that
    only `draft` refers to takes the plan's settings.
    """
    wanted = plan.model_dump(exclude={"name"})
    model, _ = DiffusionModel.objects.get_or_create(name=plan.name, defaults=wanted)
    different = [name for name, value in wanted.items() if getattr(model, name) != value]
    if not different or (not plan.checkpoint and manifest.source != "generated"):
        return model
    if draft is None or _is_used_beyond(draft, model):
        listed = ", ".join(f"{name} = {getattr(model, name)!r}" for name in different)
        # A model whose images were imported has no checkpoint, and a generated study cannot do without one.
        way_out = ", or the same settings" if model.checkpoint or manifest.source != "generated" else ""
        raise Refused(f"A model called {plan.name} exists already with {listed}; give this one another name{way_out}.")
    DiffusionModel.objects.filter(pk=model.pk).update(**wanted)
    return model


def _is_used_beyond(draft: Study, model: DiffusionModel) -> bool:
    of_draft = model.pk in (draft.model_a_id, draft.model_b_id)
    others = Study.objects.exclude(pk=draft.pk).filter(Q(model_a=model) | Q(model_b=model))
    return not of_draft or others.exists() or model.image_sets.exists()
