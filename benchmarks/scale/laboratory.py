"""Fill the database of a large laboratory: hundreds of studies, a very large open one, one with many votes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from annotation.models import Annotator, Study
from benchmarks.load import stored_studies

QUALITY = {"ladder": [0.75, 0.5], "repeats": 1, "repeat_distance": 2, "checks_failed": 0.01, "too_fast": 0.001}
ANNOTATORS = 3  # of each small study
OVERLAP = 5


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the laboratory: small studies and their comparisons, and the two large ones."""

    small_studies: int
    small_comparisons: int
    comparisons: int
    votes: int


FULL = Size(small_studies=502, small_comparisons=20, comparisons=10_000, votes=1_000_000)
QUICK = Size(small_studies=100, small_comparisons=10, comparisons=2_000, votes=50_000)
LIVE = 0.6  # of the small studies take votes; the others are closed


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The studies to measure. judged: open, with a tenth of the votes; closing it judges its annotators."""

    open: Study
    voted: Study
    judged: Study
    small: Study


def fill(size: Size) -> Laboratory:
    """Make all studies by bulk statements; this takes some minutes."""
    small = list(_small_studies(size))
    large = stored_studies.open_study(
        slug="open", comparisons=size.comparisons, overlap=OVERLAP, is_analysed=False, quality=QUALITY
    )
    stored_studies.store_scores(large)
    Annotator.objects.bulk_create(Annotator(study=large, kind="personal", label="invited") for _ in range(500))
    voted = stored_studies.store_votes(slug="voted", comparisons=size.comparisons, count=size.votes)
    stored_studies.store_scores(voted, with_embeddings=True)
    judged = stored_studies.store_votes(
        slug="judged", comparisons=size.comparisons // 10, count=size.votes // 10, quality=QUALITY
    )
    Study.objects.filter(pk=judged.pk).update(state="open", closed_at=None)
    stored_studies.analyse()
    return Laboratory(large, voted, judged, small[0])


def _small_studies(size: Size) -> Iterator[Study]:
    now = timezone.now()
    for number in range(size.small_studies):
        is_live = number < LIVE * size.small_studies
        plan: dict[str, Any] = {"slug": f"small-{number}", "comparisons": size.small_comparisons, "quality": QUALITY}
        study = stored_studies.open_study(overlap=OVERLAP, is_analysed=False, **plan)
        stored_studies.store_scores(study)
        Annotator.objects.bulk_create(Annotator(study=study, kind="personal", label="a") for _ in range(ANNOTATORS))
        if not is_live:
            Study.objects.filter(pk=study.pk).update(state="closed", closed_at=now)
        yield study
