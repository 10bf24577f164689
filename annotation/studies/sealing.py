"""Whether a study is sealed. Everything that shows results, or says which model made an image, asks here."""

from random import Random
from typing import TypeVar

from django.utils.crypto import salted_hmac

from annotation.models import Study
from annotation.studies.comparisons import set_ids
from annotation.studies.current import current_manifests
from annotation.studies.manifest import Manifest
from generation.models import ImageSet

T = TypeVar("T")
WAITS = (
    "waits until another study with the same image sets has ended its voting, because the results here would show "
    "what is sealed there"
)


def is_sealed(study: Study, *, manifest: Manifest) -> bool:
    """Whether scores, winners and votes by model are hidden: until the study closes, unless its manifest opted out.

    What a study that opted out would show stays hidden while a sealed one that takes votes has the same image sets.
    """
    return study.state != Study.State.CLOSED and (manifest.sealed or are_sealed_elsewhere(study))


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


def shuffled(study: Study, number: int, purpose: str, rows: list[T]) -> list[T]:
    """Return the rows in an order that is stable, and that nobody can compute without the installation's secret."""
    seed = salted_hmac(f"semblance shuffled {purpose}", f"{study.pk} {number}", algorithm="sha256").hexdigest()
    return Random(seed).sample(rows, len(rows))  # noqa: S311 - the secret is in the seed
