"""Read one comparison from the database: both sets, its votes, and the effect of each image on the score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db.models import Case, F, OuterRef, Subquery, Value, When
from numpy.typing import NDArray

from annotation.models import Annotator, Comparison, Vote
from annotation.models.assignment import IN_ORDER
from annotation.reports.data.gathering import CHOICE, EXCLUDED, SCREENED_OUT
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.reports.data.similarities import LEAST_IMAGES, SCS
from annotation.reports.data.study_data import MODEL_A, MODEL_B, TIE
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from generation.models import GeneratedImage, ImageSet
from scoring.consistency import contributions, pairwise_similarities
from scoring.models import ImageEmbedding
from scoring.statistics.agreement.agreement import metric_winners
from scoring.statistics.inference.intervals import Resampling
from scoring.statistics.scores.seed_noise import SeedNoise, seed_noise

_CHOSEN = {MODEL_A: "A", MODEL_B: "B", TIE: "tie"}
_SIGN = {"A": 1, "B": -1}

Embedded = dict[int, NDArray[np.float32]]  # by seed, in ascending order


@dataclass(frozen=True, slots=True)
class ImageDetail:
    """An image and its effect on the score.

    contribution: the score of the set minus the score without the image, in points. without: the latter score.
    changes_winner: whether the metric would name another winner without the image. None and False if unknown.
    """

    seed: int
    contribution: float | None = None
    without: float | None = None
    changes_winner: bool = False


@dataclass(frozen=True, slots=True)
class SetDetail:
    """An image set. model: "A" or "B". wording: the prompt as rendered. images: by seed. reason: why contributions are
    unknown, else empty."""

    model: str
    name: str
    wording: str
    score: float | None
    images: tuple[ImageDetail, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class VoteDetail:
    """A standing vote. chosen: "A", "B" or "tie". side: "left", "right", "tie", or empty if sides are unknown.
    excluded: why it does not count, else empty."""

    annotator: str
    is_simulated: bool
    chosen: str
    side: str
    seconds: float | None
    received_at: datetime
    excluded: str


@dataclass(frozen=True, slots=True)
class ComparisonDetail:
    """A comparison with its sets and votes. noise: its margin under resampled seeds, None if unknown."""

    row: ComparisonRow
    sets: tuple[SetDetail, SetDetail]
    votes: tuple[VoteDetail, ...]
    noise: SeedNoise | None


def comparison_detail(
    comparison: Comparison, row: ComparisonRow, *, metric: str, resampling: Resampling
) -> ComparisonDetail:
    """Return a comparison of an unsealed study in detail; `row` is its row in the explorer."""
    both = (comparison.image_set_a, comparison.image_set_b)
    (seeds_a, a), (seeds_b, b) = _images(both, metric)
    noise = None
    if len(a) >= LEAST_IMAGES and a.keys() == b.keys():
        noise = seed_noise(_similarities(a), _similarities(b), resampling=resampling)
    sets = (
        _seen_set(both[0], "A", row, seeds_a, a, metric=metric),
        _seen_set(both[1], "B", row, seeds_b, b, metric=metric),
    )
    return ComparisonDetail(row, sets, tuple(_votes(comparison)), noise)


# --- sets ---------------------------------------------------------------------------------------
def _images(sets: Sequence[ImageSet], metric: str) -> list[tuple[list[int], Embedded]]:
    """Return the seeds of each set's images and, if the metric is a Semantic Consistency Score, the embeddings behind
    it."""
    encoder = metric.removeprefix(SCS) if metric.startswith(SCS) else ""  # no encoder is called that
    vectors = ImageEmbedding.objects.filter(image=OuterRef("pk"), encoder__identity=encoder).values("vector")
    images = GeneratedImage.objects.filter(image_set__in=sets).order_by("seed").annotate(vector=Subquery(vectors))
    found: dict[int, tuple[list[int], Embedded]] = {image_set.pk: ([], {}) for image_set in sets}
    for pk, seed, vector in images.values_list("image_set", "seed", "vector"):
        seeds, embedded = found[pk]
        seeds.append(seed)
        if vector is not None:
            embedded[seed] = np.frombuffer(vector, ImageEmbedding.STORED_TYPE)
    return [found[image_set.pk] for image_set in sets]


def _similarities(embedded: Embedded) -> NDArray[np.float64]:
    return pairwise_similarities(np.stack(list(embedded.values())))


def _seen_set(
    image_set: ImageSet, model: str, row: ComparisonRow, seeds: list[int], embedded: Embedded, *, metric: str
) -> SetDetail:
    score, other = (row.score_a, row.score_b) if model == "A" else (row.score_b, row.score_a)
    reason = _why_unknown(seeds, embedded, score, metric)
    images = [ImageDetail(seed) for seed in seeds]
    if not reason and score is not None:
        added = contributions(np.stack(list(embedded.values())))
        images = [
            _contributing(seed, float(part), score=score, other=other, sign=_SIGN[model])
            for seed, part in zip(seeds, added, strict=True)
        ]
    return SetDetail(model, str(image_set.diffusion_model), image_set.rendered_prompt, score, tuple(images), reason)


def _contributing(seed: int, part: float, *, score: float, other: float | None, sign: int) -> ImageDetail:
    changes_winner = False
    if other is not None:
        now, then = metric_winners([sign * (score - other), sign * (score - part - other)])
        changes_winner = bool(now != then)
    return ImageDetail(seed, part, score - part, changes_winner)


def _why_unknown(seeds: list[int], embedded: Embedded, score: float | None, metric: str) -> str:
    """Return why the contributions of single images are unknown; empty if they are known."""
    if not seeds:
        return "The images of this set are not here."
    if not metric.startswith(SCS):
        return f"{metric} was computed elsewhere: what each image contributes to it is not known."
    if score is None or list(embedded) != seeds:
        return "Not every image of this set is embedded and scored."
    return "" if len(seeds) >= LEAST_IMAGES else "With two images there is no score without one of them."


# --- votes --------------------------------------------------------------------------------------
def _votes(comparison: Comparison) -> Iterator[VoteDetail]:
    """Yield each standing main vote in the order in which they were given; an excluded vote has a reason."""
    names = pseudonyms(comparison.study)
    votes = Vote.objects.filter(
        assignment__comparison=comparison, assignment__kind="main", state=Vote.State.STANDING
    ).annotate(
        chosen=CHOICE,
        is_excluded=Case(When(EXCLUDED, then=Value(True)), default=Value(False)),
        annotator=F("assignment__annotator_id"),
        kind=F("assignment__annotator__kind"),
        are_sides_known=F("assignment__are_sides_known"),
    )
    for vote in votes.order_by(*IN_ORDER):
        yield VoteDetail(
            annotator=names[vote.annotator],
            is_simulated=vote.kind == Annotator.Kind.SIMULATED,
            chosen=_CHOSEN[vote.chosen],
            side=vote.choice if vote.are_sides_known else "",
            seconds=None if vote.response_ms is None else vote.response_ms / 1000,
            received_at=vote.received_at,
            excluded=(vote.exclusion_reason or SCREENED_OUT) if vote.is_excluded else "",
        )
