"""A random closed external study, as the arrays of a report. Its votes are simulated."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models.annotator import pseudonym
from annotation.reports.data.study_data import (
    AnnotatorRow,
    ChecksData,
    ManifestRow,
    ScoredComparisons,
    Similarities,
    UnsealedData,
    UnsealedVotes,
)
from annotation.studies.documents import sha256
from annotation.studies.manifest import Manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20240412


def simulated_study(*, comparisons: int, votes: int, annotators: int) -> UnsealedData:
    """Draw a study: one vote in ten is a tie, the others follow a noisy margin."""
    rng = np.random.default_rng(SEED)
    lean = rng.normal(0.3, 1, comparisons)
    margin = lean + rng.normal(0, 0.7, comparisons)
    cast = simulated_votes(rng, lean, votes=votes, annotators=annotators)
    return study_of(margin, cast, cluster=np.arange(comparisons), annotators=annotators, annotation={"ties": True})


def study_of(
    margin: NDArray[np.float64], votes: UnsealedVotes, *, cluster: NDArray[np.int64], annotators: int, **plan: Any
) -> UnsealedData:
    """A closed external study with these margins, votes and clusters. plan: further sections of its manifest."""
    comparisons = len(margin)
    prompts = tuple(f"prompt {number}" for number in range(comparisons))
    manifest = Manifest.model_validate(
        {
            "name": "Simulated",
            "slug": "simulated",
            "source": "external",
            "model_a": {"name": "Alpha"},
            "model_b": {"name": "Beta"},
            "prompts": [{"text": text} for text in prompts],
            **plan,
        }
    )
    none = np.zeros(comparisons, dtype=np.int64)
    return UnsealedData(
        manifest=manifest,
        state="closed",
        opened_at=None,
        closed_at=NOW,
        first_vote_at=NOW,
        metric=manifest.encoder.metric,
        metrics=(manifest.encoder.metric,),
        margins={},
        similarities=Similarities.none("no images"),
        other_similarities={},
        comparisons=ScoredComparisons(
            position=np.arange(comparisons),
            prompt=prompts,
            cluster=cluster,
            images_a=none,
            images_b=none,
            planned_images=none,
            is_scored=np.ones(comparisons, dtype=bool),
            score_a=80 + margin,
            score_b=np.full(comparisons, 80.0),
        ),
        votes=votes,
        late_count=0,
        superseded_count=0,
        tombstones=(),
        checks=ChecksData(known=(), repeats=()),
        annotators=tuple(AnnotatorRow(pseudonym(n + 1), "simulated", "finished", True) for n in range(annotators)),
        manifest_versions=(ManifestRow(1, sha256(manifest), NOW, ""),),
        events=(),
    )


def simulated_votes(
    rng: np.random.Generator, lean: NDArray[np.float64], *, votes: int, annotators: int
) -> UnsealedVotes:
    """Draw votes: one in ten is a tie, the others go to A with a chance that rises with the lean of the comparison."""
    n, total = len(lean), len(lean) * votes
    comparison = np.repeat(np.arange(n), votes).astype(np.int32)
    who = np.concatenate([np.sort(rng.choice(annotators, votes, replace=False)) for _ in range(n)]).astype(np.int32)
    is_for_a = rng.random(total) < 1 / (1 + np.exp(-2 * lean[comparison]))
    choice = np.where(rng.random(total) < 0.1, 2, np.where(is_for_a, 0, 1)).astype(np.int8)
    left = rng.integers(0, 2, total).astype(np.int8)
    return UnsealedVotes(
        comparison=comparison,
        annotator=who,
        side=np.where(choice == 2, 2, choice != left).astype(np.int8),
        choice=choice,
        left=left,
        response_ms=rng.integers(500, 9000, total).astype(np.int32),
        arrival=rng.permutation(total),
        is_excluded=np.zeros(total, dtype=bool),
        exclusions=(),
    )
