"""Whether a study's scores are those of image sets that another, sealed study shows to annotators right now."""

from annotation.models import Study
from annotation.studies.comparisons import set_ids
from annotation.studies.current import current_manifests
from generation.models import ImageSet

WAITS = (
    "waits until another study with the same image sets has ended its voting, because the results here would show "
    "what is sealed there"
)


def are_sealed_elsewhere(study: Study) -> bool:
    """Return whether a sealed study that is open or paused has an image set of this study.

    Else a twin of an open study, closed without a vote, would unseal its scores.
    """
    models = study.study_models.values("diffusion_model")
    voting = Study.objects.filter(state__in=(Study.State.OPEN, Study.State.PAUSED)).exclude(pk=study.pk)
    alike = list(voting.filter(study_models__diffusion_model__in=models).distinct())
    sealed = [pk for pk, manifest in current_manifests(alike).items() if manifest.sealed]
    return any(_share_a_set(study, other) for other in alike if other.pk in sealed)


def _share_a_set(one: Study, other: Study) -> bool:
    own, others = set_ids(one.comparisons.all()), set_ids(other.comparisons.all())
    return ImageSet.objects.filter(pk__in=own).filter(pk__in=others).exists()
