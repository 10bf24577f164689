"""Create a study from a manifest: its row, its diffusion models, version 1 of its manifest."""

from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import ManifestVersion, Study, StudyEvent, StudyModel, StudyShare
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.documents import document, sha256
from annotation.studies.manifest import Manifest, ModelPlan
from annotation.voting.storage.sqlite_queue import in_turn
from generation.models import DiffusionModel
from jobs.refusals import Refused

Actor = User | None
RESERVED = ("new",)  # a page beside those of the studies; an earlier study may have this name


def create_study(*, manifest: Manifest, actor: Actor = None) -> Study:
    """Create a study as a draft. An external study generates and shows nothing, so it is closed once its rows exist.

    Until then an external study is GENERATING; if this process dies, the next tick completes it, or another call with
    the same manifest. The actor owns the study; one without an actor belongs to the admins. Refused if the slug is
    taken, or if a model of the same name has other settings.
    """
    if manifest.slug in RESERVED:
        raise Refused(f"slug: {manifest.slug} is the address of another page; give another slug, or another name.")
    study = _unfinished_external(manifest) or _begin(manifest, document(manifest), sha256(manifest), actor)
    if study.state == Study.State.GENERATING:
        complete_external(study, manifest)
        study.refresh_from_db()
    return study


def _unfinished_external(manifest: Manifest) -> Study | None:
    """Return the external study that an earlier call with this manifest left unfinished, or refuse a taken slug."""
    study = Study.objects.filter(slug=manifest.slug).first()
    if study is None:
        return None
    is_unfinished = study.source == Study.Source.EXTERNAL and study.state == Study.State.GENERATING
    if is_unfinished and study.manifest_sha256 == sha256(manifest):
        return study
    raise Refused(
        f"slug: a study called {manifest.slug} exists already; give another slug, or another name to draw it from."
    )


@in_turn
def _begin(manifest: Manifest, text: dict[str, Any], digest: str, actor: Actor) -> Study:
    if begun := _unfinished_external(manifest):  # by another process meanwhile
        return begun
    is_external = manifest.source == "external"
    study = Study.objects.create(
        slug=manifest.slug,
        name=manifest.name,
        source=manifest.source,
        manifest_sha256=digest,
        created_by=actor,
        state=Study.State.GENERATING if is_external else Study.State.DRAFT,
    )
    set_models(study, manifest)
    ManifestVersion.objects.create(study=study, number=1, document=text, sha256=digest, created_by=actor)
    if actor is not None:
        StudyShare.objects.create(study=study, account=actor, role=StudyShare.Role.OWNER)
    if not is_external:
        _record_creation(study)
    return study


def complete_external(study: Study, manifest: Manifest) -> None:
    """Create the missing comparisons of an external study, then close it. Safe to repeat."""
    plan_comparisons(study, manifest)
    _close_external(study, manifest)


@in_turn
def _close_external(study: Study, manifest: Manifest) -> None:
    now = timezone.now()
    begun = Study.objects.filter(pk=study.pk, state=Study.State.GENERATING)
    if begun.update(state=Study.State.CLOSED, closed_at=now, erases_at=manifest.privacy.moment(now)):
        _record_creation(study)


def _record_creation(study: Study) -> None:
    detail = {"sha256": study.manifest_sha256}
    StudyEvent.objects.create(study=study, verb="created", detail=detail, actor=study.created_by)


def append_version(*, study: Study, manifest: Manifest, reason: str, actor: Actor) -> ManifestVersion:
    """Append a version of the manifest. The caller changes the study's hash in the same transaction."""
    return ManifestVersion.objects.create(
        study=study,
        number=study.manifest_versions.count() + 1,
        document=document(manifest),
        sha256=sha256(manifest),
        reason=reason,
        created_by=actor,
    )


def set_models(study: Study, manifest: Manifest, *, is_draft: bool = False) -> None:
    """Store the models of the manifest as those of the study. is_draft: a model that only it uses takes new settings.

    Refused as by `diffusion_model_of`. Runs in a transaction.
    """
    draft = study if is_draft else None
    models = [diffusion_model_of(manifest, plan, draft=draft) for plan in manifest.models.values()]
    study.study_models.all().delete()
    StudyModel.objects.bulk_create(
        StudyModel(study=study, position=position, key=key, diffusion_model=model)
        for position, (key, model) in enumerate(zip(manifest.models, models, strict=True))
    )


def diffusion_model_of(manifest: Manifest, plan: ModelPlan, *, draft: Study | None = None) -> DiffusionModel:
    """Return the model of that name, created if there is none. Refused if it has other settings.

    A plan without a checkpoint generates nothing, so the name alone identifies the model. A model that only `draft`
    uses takes the settings of the plan.
    """
    wanted = plan.model_dump(exclude={"name"})
    model, _ = DiffusionModel.objects.get_or_create(name=plan.name, defaults=wanted)
    different = [name for name, value in wanted.items() if getattr(model, name) != value]
    if not different or (not plan.checkpoint and manifest.source != "generated"):
        return model
    if draft is None or _is_used_beyond(draft, model):
        listed = ", ".join(f"{name} = {getattr(model, name)!r}" for name in different)
        # A model whose images were imported has neither, and a generated study needs one of them.
        is_made = model.checkpoint or model.endpoint
        way_out = ", or the same settings" if is_made or manifest.source != "generated" else ""
        raise Refused(f"A model called {plan.name} exists already with {listed}; give this one another name{way_out}.")
    DiffusionModel.objects.filter(pk=model.pk).update(**wanted)
    return model


def _is_used_beyond(draft: Study, model: DiffusionModel) -> bool:
    using = set(StudyModel.objects.filter(diffusion_model=model).values_list("study", flat=True))
    return using != {draft.pk} or model.image_sets.exists()
