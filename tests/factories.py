"""Studies for tests: in any state, of any size, without torch and without a file of weights."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db.models import F
from django.utils import timezone
from PIL import Image

from annotation.models import Annotator, Assignment, Comparison, Study, StudyModel, StudyShare, Vote
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.manifest import Manifest
from generation.models import DiffusionModel, ImageSet
from generation.plans.image_sets import plan_imported_set
from generation.recorded_images.records import record_image
from scoring.models import SetScore

State = Study.State
RESEARCHER = "researcher"


def manifest_document(
    *, comparisons: int = 3, source: str = "images", slug: str = "study", **changes: Any
) -> dict[str, Any]:
    """A manifest's document with valid values; `changes` replace whole fields, `annotation` is merged.

    `comparisons` is the number of prompts; with `models` in the changes each has several comparisons.
    """
    generated = source == "generated"
    plan: dict[str, Any] = {
        "name": slug.replace("-", " ").capitalize(),
        "slug": slug,
        "source": source,
        "model_a": {"name": "Alpha", "checkpoint": "/models/alpha" if generated else ""},
        "model_b": {"name": "Beta", "checkpoint": "/models/beta" if generated else ""},
        "prompts": [{"text": f"prompt {number}"} for number in range(1, comparisons + 1)],
        "seeds": [11, 22, 33] if generated else [],
    }
    plan = {key: value for key, value in plan.items() if "models" not in changes or not key.startswith("model_")}
    annotation = {"overlap": 3, "comparisons_per_annotator": max(comparisons, 1), **changes.pop("annotation", {})}
    return {**plan, "annotation": annotation, **changes}


def named(*names: str) -> list[dict[str, str]]:
    """Several models for a manifest's document, with the keys a, b, c and so on."""
    return [{"key": "abcdefgh"[place], "name": name} for place, name in enumerate(names)]


def make_manifest(**arguments: Any) -> Manifest:
    """A manifest as `manifest_document` describes it."""
    return Manifest.model_validate(manifest_document(**arguments))


def make_study(*, state: str = State.OPEN, images_per_set: int = 2, has_scores: bool = True, **manifest: Any) -> Study:
    """A study of `comparisons` prompts (3) in `state`, from imported images (`source="images"`) or an external one.

    From ready on every set is scored by the manifest's metric, the first model ahead in every other comparison;
    an external study is closed and has scores too, unless `has_scores` is false.
    """
    study = create_study(manifest=make_manifest(**manifest))
    own(study)
    if study.source == Study.Source.IMAGES and state != State.DRAFT:
        for model in study.diffusion_models:
            import_sets(model, [prompt.text for prompt in current_manifest(study).prompts], images_per_set)
        plan_comparisons(study, current_manifest(study))
    if has_scores and (study.source == Study.Source.EXTERNAL or state not in (State.DRAFT, State.GENERATING)):
        score_all(study)
    if study.source != Study.Source.EXTERNAL:
        put_in_state(study, state)
    return study


def name_models(study: Study, models: Sequence[DiffusionModel]) -> None:
    """Make these the models of the study, called a, b, c and so on in its manifest."""
    for position, model in enumerate(models):
        StudyModel.objects.create(study=study, position=position, key="abcdefgh"[position], diffusion_model=model)


def import_sets(model: DiffusionModel, prompts: Sequence[str], images_per_set: int) -> None:
    """Small plain images, every one of another colour, as if imported."""
    for number, prompt in enumerate(prompts):
        image_set = plan_imported_set(diffusion_model=model, prompt=prompt, seeds=range(images_per_set))
        for seed in range(images_per_set):
            colour = (model.pk * 37 % 256, number * 11 % 256, seed * 53 % 256)
            record_image(image_set=image_set, seed=seed, image=Image.new("RGB", (16, 16), colour), provenance={})


def score_all(study: Study) -> None:
    """A score of every set by the manifest's metric."""
    metric = current_manifest(study).encoder.metric
    for comparison in Comparison.objects.filter(study=study):
        a_is_ahead = comparison.position % 2 == 0
        score(comparison.image_set_a, metric, 80.0 if a_is_ahead else 70.0)
        score(comparison.image_set_b, metric, 70.0 if a_is_ahead else 80.0)


def score(image_set: ImageSet, metric: str, value: float) -> SetScore:
    """A score of one set: computed where it has images, imported where it has none."""
    image_count = image_set.images.count()
    source = SetScore.Source.COMPUTED if image_count > 1 else SetScore.Source.IMPORTED
    defaults = {"value": value, "source": source, "image_count": image_count or None}
    return SetScore.objects.update_or_create(image_set=image_set, metric=metric, defaults=defaults)[0]


def put_in_state(study: Study, state: str) -> None:
    """Set the state and its times directly, past the rules of the lifecycle."""
    was_opened = state in (State.OPEN, State.PAUSED, State.CLOSED)
    now = timezone.now()
    Study.objects.filter(pk=study.pk).update(
        state=state, opened_at=now if was_opened else None, closed_at=now if state == State.CLOSED else None
    )
    study.refresh_from_db()


def give_vote(annotator: Annotator, *, position: int = 0) -> Vote:
    """A standing vote of the annotator, past the rules of voting."""
    comparison = annotator.study.comparisons.get(position=position)
    counts = {"slot_count": F("slot_count") + 1, "vote_count": F("vote_count") + 1}
    Comparison.objects.filter(pk=comparison.pk).update(**counts)
    assignment = Assignment.objects.create(
        comparison=comparison, annotator=annotator, state="voted", left_model="a", leased_at=timezone.now()
    )
    return Vote.objects.create(assignment=assignment, choice="left")


def make_researcher(password: str | None = None) -> User:
    """A researcher's account that may make studies and owns every study of the factories, also later ones."""
    user = User.objects.create_user(RESEARCHER, password=password, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_study"))
    for study in Study.objects.all():
        own(study)
    return user


def member(study: Study, role: str) -> User:
    """An account named as its role in the study; "" has none."""
    user, _ = User.objects.get_or_create(username=role or "colleague", defaults={"is_staff": True})
    if role:
        StudyShare.objects.create(study=study, account=user, role=role)
    return user


def own(study: Study) -> None:
    """Make the researcher, if there is one yet, an owner of the study."""
    if user := User.objects.filter(username=RESEARCHER).first():
        StudyShare.objects.get_or_create(study=study, account=user, defaults={"role": StudyShare.Role.OWNER})
