"""Imported images belong to a model's name and a prompt, not to a study: refuse those of studies that are not shared.

Without this, people who name another group's model and prompts in a study of their own would see its images, and could
put images into its sets.
"""

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.models import Comparison, Study
from annotation.studies.comparisons import comparisons_of, image_sets_of
from annotation.studies.current import current_manifest, current_manifests
from annotation.studies.imports.imported_images import image_names
from annotation.studies.nearest_names import first_names
from annotation.studies.sharing import Account, visible_studies
from jobs.refusals import Refused


def refuse_images_of_others(study: Study, account: Account | None) -> None:
    """Raise Refused if the study's models and prompts are also those of a study that the account may not see.

    Another study counts if it was made before this one, or has comparisons: a later draft that names the same models
    and prompts blocks nobody. None is an account that is deleted, and may see nothing.
    """
    if study.source != Study.Source.IMAGES:
        return
    own = image_names(current_manifest(study))
    for other in current_manifests(_others(study, account or AnonymousUser())).values():
        for model, prompts in image_names(other).items():
            if shared := own.get(model, set()) & prompts:
                raise Refused(
                    f"{study} cannot use images of {model}: another study, which is not shared with this account, "
                    f"has images of that name for {first_names(sorted(shared))}. Give the model another name in the "
                    "study file, or ask an admin to share that study."
                )


def _others(study: Study, account: Account) -> QuerySet[Study]:
    has_comparisons = Exists(Comparison.objects.filter(study=OuterRef("pk")))
    models = study.study_models.values("diffusion_model")
    others = Study.objects.filter(source=Study.Source.IMAGES, study_models__diffusion_model__in=models)
    others = others.filter(Q(pk__lt=study.pk) | has_comparisons).exclude(pk=study.pk)
    return others.exclude(pk__in=visible_studies(account).values("pk")).distinct()


def refuse_sets_of_others(study: Study, account: Account | None) -> None:
    """Raise Refused if a study that the account may not see shows the same image sets: scores are of sets."""
    elsewhere = comparisons_of(image_sets_of(study).values("pk")).exclude(study=study)
    if elsewhere.exclude(study__in=visible_studies(account or AnonymousUser())).exists():
        raise Refused(
            f"{study} shares image sets with a study that is not shared with this account, and scores of them would "
            "enter its report too. Ask an admin to share that study, or to import the scores."
        )
