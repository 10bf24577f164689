"""The facts of a study: question, models, rules, counts, events. Nothing depends on a score or a model. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer

from annotation.models import Annotator, Study, StudyEvent
from annotation.reports.data.study_data import (
    EventRow,
    LeakRow,
    ManifestRow,
    Moment,
    SealedData,
    Tombstone,
    UnsealedData,
)
from annotation.reports.findings.study.quality import Quality
from annotation.studies.documents import document, public
from annotation.studies.manifest import Manifest
from annotation.studies.nearest_names import first_names
from jobs.wording import counted
from scoring.metric_spec import LARGEST_SCORE


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """The question, the models and the rules of a study. leaks: what the manifest says that metrics have seen of it.

    lower_metrics: those of which a lower score is more consistent.
    model_a, model_b: of the two sides of every comparison; empty if there are several pairs of models. models: the
    names of all, in the order of the study file; empty in reports of earlier versions. pair: the keys of the two models
    if the report is about one pair of several, joined by a comma.
    """

    name: str
    slug: str
    source: str
    state: str
    question: str
    model_a: str
    model_b: str
    metric: str
    other_metrics: tuple[str, ...]
    are_ties_allowed: bool
    overlap: int
    images_per_set: int | None
    level: float
    resamples: int
    seed: int
    opened_at: Moment | None
    closed_at: Moment | None
    first_vote_at: Moment | None
    is_interim: bool
    is_sealed: bool
    was_sealed_by_design: bool
    leaks: tuple[LeakRow, ...] = ()
    lower_metrics: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    pair: str = ""

    @property
    def is_lower_more_consistent(self) -> bool:
        """Whether a set with a lower score by the reported metric is more consistent."""
        return self.metric in self.lower_metrics

    @property
    def are_several(self) -> bool:
        """Whether there are more than two models, so that A and B are sides and no models."""
        return len(self.models) > 2

    @property
    def sides(self) -> tuple[str, str]:
        """The names of A and B in a table: of several models, the higher and the lower one in the best fixed order."""
        return ("higher", "lower") if self.are_several else ("A", "B")

    @property
    def sides_in_words(self) -> tuple[str, str]:
        """The names of A and B in a sentence."""
        return ("the higher model", "the lower model") if self.are_several else ("A", "B")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts from plan to analysis. Images are None if the study has none of its own."""

    planned_comparisons: int
    generated_comparisons: int | None
    scored_comparisons: int
    voted_comparisons: int
    analysed_comparisons: int
    planned_images: int | None
    images: int | None
    votes: int
    simulated_votes: int
    excluded_votes: int
    late_votes: int
    undone_votes: int
    withdrawn_votes: int
    withdrawn_annotators: int
    annotators: int
    simulated_annotators: int

    @property
    def voters(self) -> str:
        """The voters in words; simulated annotators are never called people."""
        is_simulated, is_one = 0 < self.simulated_votes == self.votes, self.annotators == 1
        if self.simulated_votes and not is_simulated:
            return "people and simulated annotators"
        if is_simulated:
            return "the one simulated annotator" if is_one else "simulated annotators"
        return "the one annotator" if is_one else "people"

    @property
    def their_model(self) -> str:
        """The model that the votes name, in words. It need not have more than half of them: ties may be voted."""
        return f"the model of {self.voters}" if self.annotators == 1 else f"the model with more votes of {self.voters}"


@dataclass(frozen=True, slots=True)
class ExcludedVote:
    """An excluded vote and why it does not count."""

    position: int
    prompt: str
    annotator: str
    reason: str


def _public_document(manifest: Manifest) -> dict[str, Any]:
    return public(document(manifest))


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything in a report that may be shown while the study is sealed.

    schema_version: of the JSON document. notices: printed on every page and in every file. manifest: the one in force,
    whose hash is the last of `manifest_versions`; no file has its completion codes.
    """

    schema_version: int
    claim: str
    notices: tuple[str, ...]
    study: StudyFacts
    manifest: Annotated[Manifest, PlainSerializer(_public_document)]
    manifest_versions: tuple[ManifestRow, ...]
    counts: Counts
    quality: Quality
    exclusions: tuple[ExcludedVote, ...]
    withdrawals: tuple[Tombstone, ...]
    events: tuple[EventRow, ...]


def study_facts(data: SealedData) -> StudyFacts:
    """Return the question, the models and the rules of the study."""
    manifest = data.manifest
    models = tuple(plan.name for plan in manifest.models.values())
    model_a, model_b = models if len(models) == 2 else ("", "")
    return StudyFacts(
        name=manifest.name,
        slug=manifest.slug,
        source=manifest.source,
        state=data.state,
        question=manifest.texts.question,
        model_a=model_a,
        model_b=model_b,
        metric=data.metric,
        other_metrics=tuple(name for name in data.metrics if name != data.metric),
        are_ties_allowed=manifest.annotation.ties,
        overlap=manifest.annotation.overlap,
        images_per_set=len(manifest.seeds) or None,
        level=manifest.analysis.level,
        resamples=manifest.analysis.resamples,
        seed=manifest.analysis.seed,
        opened_at=data.opened_at,
        closed_at=data.closed_at,
        first_vote_at=data.first_vote_at,
        is_interim=data.state != Study.State.CLOSED,
        is_sealed=not isinstance(data, UnsealedData),
        was_sealed_by_design=manifest.sealed,
        leaks=data.leaks,
        lower_metrics=data.lower_metrics,
        models=models,
        pair=data.pair,
    )


def notices(data: SealedData) -> tuple[str, ...]:
    """Return the notices of every page and file: simulated votes, the manifest's own, images, interim, not sealed."""
    whose = data.votes.annotator[~data.votes.is_excluded]
    simulated = int(_is_simulated(data)[whose].sum())
    said = [_pair(data)] if data.pair else []
    if simulated:
        were = f"{counted(len(whose), 'vote')} {'was' if simulated == 1 else 'were'}"
        said.append(f"Simulated votes: {simulated} of {were} made by a program, not by a person.")
    if data.manifest.notice:
        said.append(data.manifest.notice)
    if models := _not_reproducible(data):
        said.append(f"Not reproducible: the images of {models} were made without seeds.")
    if data.unusable_scores:
        said.append(_unusable(data.unusable_scores))
    if not isinstance(data, UnsealedData):
        said.append("Interim report: scores, winners and agreement are sealed until the study closes.")
    elif data.state != Study.State.CLOSED:
        said.append("Interim report: the study is not closed, and its numbers will change.")
    if not data.manifest.sealed:
        said.append("This study opted out of sealing: its results could be seen while votes were still coming in.")
    return tuple(said)


def _pair(data: SealedData) -> str:
    """Say that a report is about one pair of models of several."""
    first, second = (plan.name for plan in data.manifest.models.values())
    return (
        f"One pair of models of several: only the comparisons between {first} and {second}. Late, undone and withdrawn "
        "votes, checks, and what was done to the study are those of the whole study."
    )


def _unusable(scores: Sequence[str]) -> str:
    """Say which stored numbers cannot be scores."""
    are, they = ("is", "it counts") if len(scores) == 1 else ("are", "they count")
    return (
        f"{counted(len(scores), 'stored score')} {are} not a finite number up to {LARGEST_SCORE:g}, so {they} as "
        f"missing: {first_names(scores)}. Take the scores back and import or compute them again."
    )


def _not_reproducible(data: SealedData) -> str:
    """Return the models whose images cannot be made again, as the study's history names them; empty if there are none.

    A dropped seed makes the study generate again, so the last event counts.
    """
    generated = [event.detail for event in data.events if event.verb == "generated"]
    return str(generated[-1].get(StudyEvent.NOT_REPRODUCIBLE, "")) if generated else ""


def counts(data: SealedData) -> Counts:
    """Count comparisons, images, votes and annotators."""
    comparisons, votes = data.comparisons, data.votes
    is_counted = ~votes.is_excluded
    voted = np.zeros(len(comparisons), dtype=bool)
    voted[votes.comparison[is_counted]] = True
    is_simulated = _is_simulated(data)
    has_images = bool(comparisons.planned_images.any())
    is_complete = comparisons.images_a + comparisons.images_b >= comparisons.planned_images
    return Counts(
        planned_comparisons=data.manifest.comparison_count,
        generated_comparisons=int(is_complete.sum()) if has_images else None,
        scored_comparisons=int(comparisons.is_scored.sum()),
        voted_comparisons=int(voted.sum()),
        analysed_comparisons=int((voted & comparisons.is_scored).sum()),
        planned_images=int(comparisons.planned_images.sum()) if has_images else None,
        images=int((comparisons.images_a + comparisons.images_b).sum()) if has_images else None,
        votes=int(is_counted.sum()),
        simulated_votes=int(is_simulated[votes.annotator[is_counted]].sum()),
        excluded_votes=int(votes.is_excluded.sum()),
        late_votes=data.late_count,
        undone_votes=data.superseded_count,
        withdrawn_votes=sum(stone.votes for stone in data.tombstones),
        withdrawn_annotators=sum(row.state == Annotator.State.WITHDRAWN for row in data.annotators),
        annotators=len(np.unique(votes.annotator[is_counted])),
        simulated_annotators=int(is_simulated[np.unique(votes.annotator[is_counted])].sum()),
    )


def exclusions(data: SealedData) -> tuple[ExcludedVote, ...]:
    """Return every excluded vote with its reason."""
    return tuple(
        ExcludedVote(
            position=int(data.comparisons.position[row.comparison]) + 1,
            prompt=data.comparisons.prompt[row.comparison],
            annotator=data.annotators[row.annotator].pseudonym,
            reason=row.reason,
        )
        for row in data.votes.exclusions
    )


def _is_simulated(data: SealedData) -> NDArray[np.bool_]:
    return np.array([row.is_simulated for row in data.annotators], dtype=bool)
