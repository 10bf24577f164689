"""How the study was run: counts, sides, times, exclusions. Nothing here depends on a score or on a model."""

import numpy as np
from numpy.typing import NDArray

from annotation.models import Annotator, Study
from annotation.reports.agreement_report import (
    AnnotatorFacts,
    Counts,
    ExcludedVote,
    ManifestFacts,
    Quality,
    StudyEventFacts,
    StudyFacts,
)
from annotation.reports.data.study_data import LEFT, RIGHT, TIE, StudyData
from annotation.reports.findings.checks import checks_found
from annotation.reports.findings.voters import longest_run
from annotation.voting.quality.exclusion import rules_in
from jobs.wording import counted
from scoring.statistics.estimate import Estimate
from scoring.statistics.intervals import wilson

SIDES_UNKNOWN = "no vote for a side whose sides were recorded"


def study_facts(data: StudyData) -> StudyFacts:
    """What was studied, and under which rules."""
    manifest = data.manifest
    return StudyFacts(
        name=manifest.name,
        slug=manifest.slug,
        source=manifest.source,
        state=data.state,
        question=manifest.texts.question,
        model_a=manifest.model_a.name,
        model_b=manifest.model_b.name,
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
        is_sealed=data.is_sealed,
        was_sealed_by_design=manifest.sealed,
    )


def notices(data: StudyData) -> tuple[str, ...]:
    """What every page and every file must say: simulated votes, the manifest's notice, interim, not sealed."""
    whose = data.votes.annotator[~data.votes.is_excluded]
    simulated = int(_is_simulated(data)[whose].sum())
    found = []
    if simulated:
        were = f"{counted(len(whose), 'vote')} {'was' if simulated == 1 else 'were'}"
        found.append(f"Simulated votes: {simulated} of {were} made by a program, not by a person.")
    if data.manifest.notice:
        found.append(data.manifest.notice)
    if data.is_sealed:
        found.append("Interim report: scores, winners and agreement are sealed until the study closes.")
    elif data.state != Study.State.CLOSED:
        found.append("Interim report: the study is not closed, and its numbers will change.")
    if not data.manifest.sealed:
        found.append("This study opted out of sealing: its results could be seen while votes were still coming in.")
    return tuple(found)


def counts(data: StudyData) -> Counts:
    """How many there were of everything, from plan to analysis."""
    comparisons, votes = data.comparisons, data.votes
    is_counted = ~votes.is_excluded
    voted = np.zeros(len(comparisons), dtype=bool)
    voted[votes.comparison[is_counted]] = True
    is_simulated = _is_simulated(data)
    has_images = bool(comparisons.planned_images.any())
    is_complete = comparisons.images_a + comparisons.images_b >= comparisons.planned_images
    return Counts(
        planned_comparisons=len(data.manifest.prompts),
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


def quality(data: StudyData) -> Quality:
    """How the votes were given: shares of sides and ties, votes a comparison, response times, by annotator too."""
    votes, level = data.votes, data.manifest.analysis.level
    is_counted = ~votes.is_excluded
    per_comparison = np.bincount(votes.comparison[is_counted], minlength=len(data.comparisons))
    times = _response_times(votes.response_ms[is_counted])
    return Quality(
        left_share=_left_share(votes.side[is_counted], level=level),
        tie_share=wilson(int((votes.side[is_counted] == TIE).sum()), int(is_counted.sum()), level=level),
        least_votes_per_comparison=int(per_comparison.min()) if len(per_comparison) else None,
        median_votes_per_comparison=float(np.median(per_comparison)) if len(per_comparison) else None,
        most_votes_per_comparison=int(per_comparison.max()) if len(per_comparison) else None,
        timed_votes=len(times),
        median_response_seconds=_median(times),
        checks=checks_found(data),
        annotators=_annotator_facts(data),
    )


def exclusions(data: StudyData) -> tuple[ExcludedVote, ...]:
    """Every excluded vote with its reason."""
    return tuple(
        ExcludedVote(
            position=int(data.comparisons.position[row.comparison]) + 1,
            prompt=data.comparisons.prompt[row.comparison],
            annotator=data.annotators[row.annotator].pseudonym,
            reason=row.reason,
        )
        for row in data.votes.exclusions
    )


def manifest_facts(data: StudyData) -> tuple[ManifestFacts, ...]:
    """Every version of the manifest, by its hash."""
    return tuple(ManifestFacts(row.number, row.sha256, row.created_at, row.reason) for row in data.manifest_versions)


def event_facts(data: StudyData) -> tuple[StudyEventFacts, ...]:
    """What was done to the study on the way."""
    return tuple(StudyEventFacts(row.happened_at, row.verb, row.detail) for row in data.events)


def _is_simulated(data: StudyData) -> NDArray[np.bool_]:
    return np.array([row.is_simulated for row in data.annotators], dtype=bool)


def _left_share(sides: NDArray[np.int8], *, level: float) -> Estimate:
    left, right = int((sides == LEFT).sum()), int((sides == RIGHT).sum())
    if not left + right:
        return Estimate.undefined(SIDES_UNKNOWN, n=0, level=level, method="Wilson")
    return wilson(left, left + right, level=level)


def _response_times(milliseconds: NDArray[np.int32]) -> NDArray[np.float64]:
    return milliseconds[milliseconds >= 0] / 1000


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _annotator_facts(data: StudyData) -> tuple[AnnotatorFacts, ...]:
    votes, level = data.votes, data.manifest.analysis.level
    by_annotator = np.argsort(votes.annotator, kind="stable")
    ends = np.searchsorted(votes.annotator[by_annotator], np.arange(len(data.annotators) + 1))
    facts = []
    for index, row in enumerate(data.annotators):
        own = by_annotator[ends[index] : ends[index + 1]]
        counted = own[~votes.is_excluded[own]]
        facts.append(
            AnnotatorFacts(
                pseudonym=row.pseudonym,
                kind=row.kind,
                state=row.state,
                votes=len(counted),
                excluded_votes=len(own) - len(counted),
                tie_votes=int((votes.side[counted] == TIE).sum()),
                left_share=_left_share(votes.side[counted], level=level),
                longest_run=longest_run(votes.side[counted[np.argsort(votes.arrival[counted])]]),
                median_response_seconds=_median(_response_times(votes.response_ms[counted])),
                broken_rules=tuple(rules_in(row.broken_rules)),
            )
        )
    return tuple(facts)
