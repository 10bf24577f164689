"""The data of a study of several models without a database: simulated votes, and scores that follow them in part."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np

from annotation.reports.data.study_data import (
    MODEL_A,
    MODEL_B,
    TIE,
    UNKNOWN,
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

NAMES = ("Ada", "Bob", "Cyd", "Dan", "Eve")
CREATED = datetime(2026, 11, 29, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A study: each pair of models on every prompt, `votes` votes each. quality: of each model, the best first."""

    quality: tuple[float, ...] = (1.2, 0.5, 0.0, -0.5, -1.2)
    prompts: int = 12
    votes: int = 3
    annotators: int = 8
    are_sides_known: bool = True
    seed: int = 7
    pairs: Sequence[tuple[int, int]] = ()
    settings: tuple[tuple[str, object], ...] = ()

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        keys = [f"m{place}" for place in range(len(self.quality))]
        given = {"pairs": {"list": [[keys[a], keys[b]] for a, b in self.pairs]}} if self.pairs else {}
        return Manifest.model_validate(
            {
                "name": "Several models",
                "slug": "several",
                "source": "external",
                "models": {key: {"name": name} for key, name in zip(keys, NAMES, strict=False)},
                "prompts": [{"text": f"a prompt number {place}"} for place in range(self.prompts)],
                "annotation": {"ties": True, "overlap": self.votes},
                "analysis": {"resamples": 100},
                **given,
                **dict(self.settings),
            }
        )


def simulated_data(study: Simulated) -> UnsealedData:
    """Draw the votes and the scores of a study."""
    rng, manifest, k = np.random.default_rng(study.seed), study.manifest, len(study.quality)
    pairs = np.array(study.pairs or list(combinations(range(k), 2)))
    prompt, pair = (part.ravel() for part in np.indices((study.prompts, len(pairs))))
    scores = 80 + 3 * np.array(study.quality) + rng.normal(0, 2, (study.prompts, k))
    a, b = pairs[pair].T
    return UnsealedData(
        manifest=manifest,
        state="closed",
        opened_at=None,
        closed_at=CREATED,
        first_vote_at=CREATED,
        metric="lpips",
        metrics=("lpips",),
        comparisons=ScoredComparisons(
            position=np.arange(len(prompt)),
            prompt=tuple(f"a prompt number {place}" for place in prompt),
            cluster=prompt,
            images_a=np.zeros(len(prompt), dtype=np.int64),
            images_b=np.zeros(len(prompt), dtype=np.int64),
            planned_images=np.zeros(len(prompt), dtype=np.int64),
            is_scored=np.ones(len(prompt), dtype=bool),
            score_a=scores[prompt, a],
            score_b=scores[prompt, b],
            model_a=a,
            model_b=b,
        ),
        votes=_votes(study, rng, np.array(study.quality), a, b),
        late_count=0,
        superseded_count=0,
        tombstones=(),
        checks=ChecksData((), ()),
        annotators=tuple(
            AnnotatorRow(f"P{place:03}", "simulated", "active", True) for place in range(study.annotators)
        ),
        manifest_versions=(ManifestRow(1, sha256(manifest), CREATED, ""),),
        events=(),
        margins={},
        similarities=Similarities.none("no images"),
        other_similarities={},
    )


def _votes(
    study: Simulated, rng: np.random.Generator, quality: np.ndarray, a: np.ndarray, b: np.ndarray
) -> UnsealedVotes:
    comparison = np.repeat(np.arange(len(a)), study.votes)
    drawn = np.argsort(rng.random((len(a), study.annotators)), axis=1)[:, : study.votes]
    annotator = np.sort(drawn, axis=1).ravel()
    left = rng.integers(0, 2, len(comparison)).astype(np.int8)
    felt = quality[a[comparison]] - quality[b[comparison]] + 0.3 * (left == MODEL_A) - 0.3 * (left == MODEL_B)
    felt = felt + rng.logistic(size=len(comparison))
    choice = np.where(np.abs(felt) < 0.4, TIE, np.where(felt > 0, MODEL_A, MODEL_B)).astype(np.int8)
    side = np.where(choice == TIE, 2, (choice != left).astype(int)).astype(np.int8)
    unknown = np.full(len(comparison), UNKNOWN, dtype=np.int8)
    return UnsealedVotes(
        comparison=comparison.astype(np.int32),
        annotator=annotator.astype(np.int32),
        side=side if study.are_sides_known else np.where(choice == TIE, side, unknown).astype(np.int8),
        response_ms=np.full(len(comparison), UNKNOWN, dtype=np.int32),
        arrival=rng.permutation(len(comparison)),
        is_excluded=np.zeros(len(comparison), dtype=bool),
        exclusions=(),
        choice=choice,
        left=left if study.are_sides_known else unknown,
    )
