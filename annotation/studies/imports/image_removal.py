"""Remove imported images, by model and prompt, one set at a time: first the rows, then, after the commit, the files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Assignment, Import, Study, StudyEvent
from annotation.models.annotator import PEOPLE
from annotation.studies.comparisons import comparisons_of, image_sets_of
from annotation.studies.nearest_names import did_you_mean, first_names
from annotation.voting.storage.sqlite_queue import in_turn
from generation.models import GeneratedImage, ImageSet
from generation.pictures import files, renditions
from jobs.refusals import Refused
from jobs.wording import counted
from scoring.models import SetScore

State = Study.State
RETURNS_TO_GENERATING = (State.GENERATING, State.SCORING, State.READY)


@dataclass(slots=True)
class ImageRemoval:
    """The numbers of sets and images removed, and a sentence for each set that stays."""

    set_count: int = 0
    image_count: int = 0
    staying: list[str] = field(default_factory=list)


def imported_sets(*, model: str, prompts: Sequence[str] = ()) -> QuerySet[ImageSet]:
    """Return the imported sets of a model, or those of some prompts. Raises Refused for a name without any."""
    imported = ImageSet.objects.filter(origin=ImageSet.Origin.IMPORTED)
    of_model = imported.filter(diffusion_model__name=model)
    if not of_model.exists():
        raise Refused(_none_of("model", [model], imported.values_list("diffusion_model__name", flat=True)))
    stored = set(of_model.values_list("prompt__text", flat=True))
    if unknown := [prompt for prompt in dict.fromkeys(prompts) if prompt not in stored]:
        raise Refused(_none_of(f"prompt of {model}", unknown, stored))
    return of_model.filter(prompt__text__in=prompts) if prompts else of_model


def _none_of(what: str, names: Sequence[str], stored: Iterable[str]) -> str:
    """Return that no imported images have these names, with the nearest names that have some, or else the first."""
    known = sorted(set(stored))
    if not known:
        return "There are no imported images."
    near = [did_you_mean(name, known) for name in names]
    asked = first_names([f"“{name}”{nearest}" for name, nearest in zip(names, near, strict=True)])
    others = "" if any(near) else "; those with images: " + first_names([f"“{name}”" for name in known])
    return f"There are no imported images of the {what} {asked}{others}."


def removal_effects(sets: QuerySet[ImageSet]) -> list[str]:
    """Return sentences on what the removal of these sets removes and changes, and on the sets that stay."""
    studies = Study.objects.filter(pk__in=comparisons_of(sets).values("study")).order_by("pk")
    reasons = {study: reason_to_keep(study) for study in studies}
    going = sets
    for study in (study for study, reason in reasons.items() if reason):
        going = going.exclude(pk__in=image_sets_of(study).values("pk"))
    images = GeneratedImage.objects.filter(image_set__in=going).count()
    scores = SetScore.objects.filter(image_set__in=going).count()
    sentences = [f"{counted(images, 'image')} in {counted(going.count(), 'set')}, with their files"]
    sentences += [f"{counted(scores, 'score')} of these sets"] if scores else []
    for study, reason in reasons.items():
        count = comparisons_of(sets).filter(study=study).count()
        kept = f"stay, since {reason}" if reason else "wait for images again, and the study goes back to generating"
        sentences.append(f"{study.slug}: {counted(count, 'comparison')} {kept}")
    return sentences


def take_back_images(sets: QuerySet[ImageSet], *, actor: User | None = None) -> ImageRemoval:
    """Remove the sets that no opened study shows, each in its own transaction. If interrupted, call it again."""
    removal = ImageRemoval()
    events = _events(sets, actor)
    for image_set in sets.select_related("diffusion_model", "prompt").order_by("pk"):
        try:
            if (image_count := _remove(image_set, events)) is not None:
                removal.image_count += image_count
                removal.set_count += 1
        except Refused as refusal:
            removal.staying.append(str(refusal))
        except IntegrityError:
            removal.staying.append(f"{image_set}: a study takes these images at this moment; try again")
    return removal


def _events(sets: QuerySet[ImageSet], actor: User | None) -> dict[int, StudyEvent]:
    """Return an unsaved event for each study that shows some of the sets; it is saved with the first set removed."""
    events = {}
    for study in Study.objects.filter(pk__in=comparisons_of(sets).values("study")):
        own = sets.filter(pk__in=image_sets_of(study).values("pk"))
        detail = {
            "model": ", ".join(sorted(set(own.values_list("diffusion_model__name", flat=True)))),
            "sets": own.count(),
            "images": GeneratedImage.objects.filter(image_set__in=own).count(),
        }
        events[study.pk] = StudyEvent(study=study, verb="images taken back", detail=detail, actor=actor)
    return events


def reason_to_keep(study: Study) -> str:
    """Return the reason why the images of a study stay; empty if they may be removed."""
    # Asked of the people, who are fewer than their votes: this holds the write lock, once for each set.
    if study.annotators.filter(Exists(Assignment.objects.filter(annotator=OuterRef("pk"))), kind__in=PEOPLE).exists():
        return f"people have voted on images of {study.slug}"
    if study.state not in RETURNS_TO_GENERATING or study.opened_at is not None:
        return f"{study.slug} was opened; delete that study first if nobody took part in it"
    if Assignment.objects.filter(comparison__study=study).exists():
        return f"{study.slug} has imported votes; take those back first"
    if source := study.imports.exclude(kind=Import.Kind.VOTES).first():
        return f"{study.slug} has imported {source.kind}; take those back first"
    return ""


@in_turn
def _remove(image_set: ImageSet, events: dict[int, StudyEvent]) -> int | None:
    """Remove one set; return how many images it had, or None if another process was quicker."""
    comparisons = comparisons_of([image_set])
    studies = list(Study.objects.select_for_update().filter(pk__in=comparisons.values("study")))
    for study in studies:
        if reason := reason_to_keep(study):
            raise Refused(f"{image_set}: {reason}")
    images = list(image_set.images.all())
    comparisons.delete()
    GeneratedImage.objects.filter(image_set=image_set).delete()
    row_count, _ = image_set.delete()
    if not row_count:
        return None
    Study.objects.filter(pk__in=[study.pk for study in studies]).update(state=State.GENERATING)
    for study in studies:
        if event := events.pop(study.pk, None):
            event.save()
    # After the commit: a crash in between leaves files without rows, never rows without files.
    transaction.on_commit(partial(_remove_files, images))
    return len(images)


def _remove_files(images: Sequence[GeneratedImage]) -> None:
    paths = {image.path for image in images}
    shared = set(GeneratedImage.objects.filter(path__in=paths).values_list("path", flat=True))
    for path in paths - shared:
        renditions.forget(path)
        files.delete(path)
        for folder in (path.rpartition("/")[0], renditions.folder(path)):
            files.prune(folder)
