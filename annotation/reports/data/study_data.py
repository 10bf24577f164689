"""The arrays that a report is made from, without the database. Sealed data have their own types."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer

from annotation.studies.manifest import Manifest

MODEL_A, MODEL_B, TIE = 0, 1, 2
LEFT, RIGHT = 0, 1
UNKNOWN = -1
SAME_IN_ALL = "same in all"  # of a field: the index that each comparison of a study of two models has
SAME, OTHER, UNDECIDED = "same", "other", "tie"

Moment = Annotated[datetime, PlainSerializer(datetime.isoformat)]  # documents have +00:00, where pydantic writes Z


def _none_given() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ComparisonArrays:
    """The comparisons in the manifest's order, n of them, without their scores.

    position: (n,) places in the manifest, from 0. cluster: (n,) codes; equal codes are resampled together.
    images_a, images_b: (n,) images that exist. planned_images: (n,) images planned, both sets together.
    is_scored: (n,) whether both sets have a score. model_a, model_b: (n,) the models on the two sides, as places in
    `manifest.models`; if they are not given, 0 and 1, as in a study of two models.
    """

    position: NDArray[np.int64]
    prompt: tuple[str, ...]
    cluster: NDArray[np.int64]
    images_a: NDArray[np.int64]
    images_b: NDArray[np.int64]
    planned_images: NDArray[np.int64]
    is_scored: NDArray[np.bool_]
    model_a: NDArray[np.int64] = field(default_factory=_none_given, kw_only=True, metadata={SAME_IN_ALL: 0})
    model_b: NDArray[np.int64] = field(default_factory=_none_given, kw_only=True, metadata={SAME_IN_ALL: 1})

    def __post_init__(self) -> None:
        for one in fields(self):
            if SAME_IN_ALL in one.metadata and len(getattr(self, one.name)) == 0:
                filled = np.full(len(self.prompt), one.metadata[SAME_IN_ALL], dtype=np.int64)
                object.__setattr__(self, one.name, filled)

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True, slots=True)
class ScoredComparisons(ComparisonArrays):
    """The comparisons with their scores: (n,) in the metric's own unit, NaN if missing."""

    score_a: NDArray[np.float64]
    score_b: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Similarities:
    """Similarities of the images in each set, for the m comparisons whose two sets have images of the same N seeds.

    comparison: (m,) indices. a, b: (m, N, N) similarities of every two images of a set, zero on the diagonal, row i of
    both from the same seed. reason: why there are none.
    """

    comparison: NDArray[np.int64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    reason: str

    @classmethod
    def none(cls, reason: str) -> "Similarities":
        """No similarities, and why."""
        return cls(np.empty(0, dtype=np.int64), np.empty((0, 0, 0)), np.empty((0, 0, 0)), reason)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An excluded vote: indices of its comparison and its annotator, and why it does not count."""

    comparison: int
    annotator: int
    reason: str


@dataclass(frozen=True, slots=True)
class VoteArrays:
    """The standing main votes, v of them, ordered by comparison and annotator, without the models behind them.

    comparison, annotator: (v,) indices. side: (v,) LEFT, RIGHT or TIE; UNKNOWN if the sides are not known.
    response_ms: (v,) milliseconds, UNKNOWN if not measured. arrival: (v,) places in the order in which the votes were
    given. is_excluded: (v,); exclusions has the reason of each excluded vote.
    """

    comparison: NDArray[np.int32]
    annotator: NDArray[np.int32]
    side: NDArray[np.int8]
    response_ms: NDArray[np.int32]
    arrival: NDArray[np.int64]
    is_excluded: NDArray[np.bool_]
    exclusions: tuple[Exclusion, ...]

    def __len__(self) -> int:
        return len(self.comparison)


@dataclass(frozen=True, slots=True)
class UnsealedVotes(VoteArrays):
    """The votes with the models behind them.

    choice: (v,) MODEL_A, MODEL_B or TIE. left: (v,) the model shown left, UNKNOWN if the sides are not known.
    """

    choice: NDArray[np.int8]
    left: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """An answered check of known order.

    annotator: an index. replaced: how many of `images` images belong to other prompts; both 0 for an instructed item.
    is_right: whether the known choice was made.
    """

    annotator: int
    replaced: int
    images: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """An answered repeat: the annotator's index, and SAME model as before, OTHER model, or UNDECIDED (one tie).

    comparison: its index, UNKNOWN in bundles of version 0.2.
    """

    annotator: int
    outcome: str
    comparison: int = UNKNOWN


@dataclass(frozen=True, slots=True)
class ChecksData:
    """Every answered check; annotators by their place in the report."""

    known: tuple[CheckRow, ...]
    repeats: tuple[RepeatRow, ...]


@dataclass(frozen=True, slots=True)
class AnnotatorRow:
    """One annotator, under a pseudonym that says nothing about the person."""

    pseudonym: str
    kind: str
    state: str
    is_simulated: bool
    broken_rules: str = ""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One version of the manifest; number 1 is the design, each later one an amendment."""

    number: int
    sha256: str
    created_at: Moment
    reason: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something done to the study, for example a seed dropped from both sets."""

    happened_at: Moment
    verb: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The trace of an annotator who withdrew: a random id, how many votes were deleted, and when."""

    id: str
    votes: int
    withdrawn_at: Moment


@dataclass(frozen=True, slots=True)
class LeakRow:
    """The data of this study that a metric was made with, by the manifest: an annotator's votes, or the prompts.

    name: of the annotator as declared, empty for the prompts. pseudonym: of the annotator, empty if none has the name.
    """

    metric: str
    name: str = ""
    pseudonym: str = ""

    @property
    def is_of_prompts(self) -> bool:
        """Whether the metric was tuned on the study's prompts."""
        return not self.name


@dataclass(frozen=True, slots=True)
class SealedData:
    """The data of any study that may be shown at any time: no score, no model behind a vote.

    metric: the one reported; metrics: every one that has a score in the study. first_vote_at: when this server
    received the first main vote of any state; None without votes. lower_metrics: those of which a lower score is more
    consistent. late_count: votes that came when their slot was
    taken. superseded_count: votes that were undone. tombstones: of the annotators who withdrew, by time. leaks: of each
    metric; the votes of annotators whom the reported metric comes from are excluded. pair: the keys of the two models,
    joined by a comma, if these are the data of one pair of several; else empty. unusable_scores: prompts and metrics of
    stored numbers that cannot be scores, which count as missing.
    """

    manifest: Manifest
    state: str
    opened_at: datetime | None
    closed_at: datetime | None
    first_vote_at: datetime | None
    metric: str
    metrics: tuple[str, ...]
    comparisons: ComparisonArrays
    votes: VoteArrays
    late_count: int
    superseded_count: int
    tombstones: tuple[Tombstone, ...]
    checks: ChecksData
    annotators: tuple[AnnotatorRow, ...]
    manifest_versions: tuple[ManifestRow, ...]
    events: tuple[EventRow, ...]
    leaks: tuple[LeakRow, ...] = field(default=(), kw_only=True)
    lower_metrics: tuple[str, ...] = field(default=(), kw_only=True)
    pair: str = field(default="", kw_only=True)
    unusable_scores: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class UnsealedData(SealedData):
    """The data of a study that is not sealed: everything that its results are computed from.

    margins: (n,) by each other metric, NaN if missing: score of A minus score of B, or B minus A of a metric of which
    a lower score is more consistent, so that a positive margin names A. similarities: of the images behind
    the reported scores; other_similarities: by each other metric that has any. seconds_per_thousand: the time of a
    metric for a thousand images, with their embeddings, if both were timed. matrices: for each metric that is
    computed from a matrix of a set and is not SCS, what `scoring.metric_spec.score_of_matrix` takes.
    """

    comparisons: ScoredComparisons
    votes: UnsealedVotes
    margins: dict[str, NDArray[np.float64]]
    similarities: Similarities
    other_similarities: dict[str, Similarities]
    seconds_per_thousand: dict[str, float] = field(default_factory=dict, kw_only=True)
    matrices: dict[str, Similarities] = field(default_factory=dict, kw_only=True)

    def margin(self) -> NDArray[np.float64]:
        """Return the (n,) margins by the reported metric, in the same sense as `margins`."""
        return oriented(self.comparisons.score_a, self.comparisons.score_b, is_lower=self.metric in self.lower_metrics)


def oriented(score_a: NDArray[np.float64], score_b: NDArray[np.float64], *, is_lower: bool) -> NDArray[np.float64]:
    """Return margins that are positive if the metric names A. is_lower: whether a lower score is more consistent.

    >>> oriented(np.array([0.2]), np.array([0.5]), is_lower=True).round(6).tolist()
    [0.3]
    """
    return score_b - score_a if is_lower else score_a - score_b
