"""What a report is made from: plain frozen arrays, without the database. Nothing sealed is in them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.studies.manifest import Manifest

MODEL_A, MODEL_B, TIE = 0, 1, 2
LEFT, RIGHT = 0, 1
UNKNOWN = -1
SAME, OTHER, UNDECIDED = "same", "other", "tie"


@dataclass(frozen=True, slots=True)
class ComparisonArrays:
    """The comparisons in the manifest's order, n of them.

    position: (n,) places in the manifest, from 0. cluster: (n,) codes; equal codes are resampled together.
    images_a, images_b: (n,) images there are. planned_images: (n,) images of both sets that were planned.
    is_scored: (n,) whether both sets have a score. score_a, score_b: (n,) in the metric's own unit, NaN where
    missing; None while the study is sealed.
    """

    position: NDArray[np.int64]
    prompt: tuple[str, ...]
    cluster: NDArray[np.int64]
    images_a: NDArray[np.int64]
    images_b: NDArray[np.int64]
    planned_images: NDArray[np.int64]
    is_scored: NDArray[np.bool_]
    score_a: NDArray[np.float64] | None
    score_b: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True, slots=True)
class Similarities:
    """How alike the images of each set are, for the m comparisons whose two sets have images of the same N seeds.

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
    """The standing main votes, v of them, ordered by comparison and annotator; excluded ones are marked.

    comparison, annotator: (v,) indices. side: (v,) LEFT, RIGHT or TIE; UNKNOWN where the sides are not known.
    choice: (v,) MODEL_A, MODEL_B or TIE. left: (v,) the model shown left, UNKNOWN where the sides are not known.
    choice and left are None while the study is sealed. response_ms: (v,) milliseconds, UNKNOWN where not measured.
    arrival: (v,) places in the order in which the votes were received. exclusions: the excluded votes, each with its
    reason.
    """

    comparison: NDArray[np.int32]
    annotator: NDArray[np.int32]
    side: NDArray[np.int8]
    choice: NDArray[np.int8] | None
    left: NDArray[np.int8] | None
    response_ms: NDArray[np.int32]
    arrival: NDArray[np.int64]
    is_excluded: NDArray[np.bool_]
    exclusions: tuple[Exclusion, ...]

    def __len__(self) -> int:
        return len(self.comparison)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """An answered check of known order: who, which rung (by images replaced, of how many) or instructed, whether right.

    replaced and images are 0 for an instructed item.
    """

    annotator: int
    replaced: int
    images: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """An answered repeat: who, and whether the same model was named as before, the other, or neither in one of both."""

    annotator: int
    outcome: str


@dataclass(frozen=True, slots=True)
class ChecksData:
    """Every answered check; annotators by their place in the report."""

    known: tuple[CheckRow, ...]
    repeats: tuple[RepeatRow, ...]


@dataclass(frozen=True, slots=True)
class AnnotatorRow:
    """One annotator, under a pseudonym that says nothing of the person."""

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
    created_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something done to the study, for example a seed dropped from both sets."""

    happened_at: datetime
    verb: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of an annotator who withdrew: a random id, how many votes were deleted, when."""

    id: str
    votes: int
    withdrawn_at: datetime


@dataclass(frozen=True, slots=True)
class StudyData:
    """What a report is made from. While `is_sealed`, scores and models behind votes were not even read.

    first_vote_at: when this server received the first main vote of any state; None without votes.
    late_count: votes that came when their slot was taken. superseded_count: votes that were undone.
    tombstones: of the annotators who withdrew, in the order of their withdrawals. checks: the answered checks.
    metric: the one reported; metrics: every one that has a score in the study. margins: (n,) score of A minus score of
    B by each other metric, NaN where missing. similarities: of the images behind the reported scores;
    other_similarities: by each other metric that has any. The last three are None while the study is sealed.
    """

    manifest: Manifest
    state: str
    opened_at: datetime | None
    closed_at: datetime | None
    first_vote_at: datetime | None
    is_sealed: bool
    metric: str
    metrics: tuple[str, ...]
    margins: dict[str, NDArray[np.float64]] | None
    similarities: Similarities | None
    other_similarities: dict[str, Similarities] | None
    comparisons: ComparisonArrays
    votes: VoteArrays
    late_count: int
    superseded_count: int
    tombstones: tuple[Tombstone, ...]
    checks: ChecksData
    annotators: tuple[AnnotatorRow, ...]
    manifest_versions: tuple[ManifestRow, ...]
    events: tuple[EventRow, ...]


def pseudonym(number: int) -> str:
    """The name in every file of the study's annotator with this number, from 1, in order of arrival.

    >>> pseudonym(7)
    'P007'
    """
    return f"P{number:03d}"
