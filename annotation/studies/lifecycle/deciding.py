"""Whether the claim of a study that stops by its evidence is decided. It reads scores, and shows none of them."""

from datetime import datetime, timedelta

import numpy as np

from annotation.models import Comparison, Study
from annotation.studies.comparisons import set_ids
from annotation.studies.evidence import Entries, decision
from annotation.studies.manifest import Manifest
from annotation.voting.slots import counted_votes
from scoring.models import SetScore
from scoring.statistics.agreement.agreement import metric_winners
from scoring.statistics.studies.sequential import Decision, complete_prefix
from scoring.statistics.votes.counts import Floats

_COLUMNS = ("turn", "votes_a", "votes_b", "votes_tie", "image_set_a", "image_set_b")


def decision_so_far(study: Study, manifest: Manifest, now: datetime) -> Decision:
    """Decide by the clusters that are complete, with all clusters drawn before them.

    A vote that its annotator may still undo counts as a vote that may still come. A comparison that was set aside holds
    up its cluster and those behind it. As in the report, a comparison of which no vote counts is no evidence, nor is
    one that lacks a score if the claim is about the metric.
    """
    rows = np.array(study.comparisons.order_by("position").values_list(*_COLUMNS), dtype=np.int64)
    turn, people = rows[:, 0], np.sign(rows[:, 1] - rows[:, 2]).astype(np.int8)
    entered = complete_prefix(turn, ~_is_unfinished(study, manifest, now))
    counts = np.asarray(rows[:, 1:4].any(axis=1), dtype=np.bool_)  # all votes of a comparison may be excluded
    metric = people
    if manifest.annotation.stop_when_decided == "metric":
        margin = _margins(study, manifest, rows[:, 4:])
        is_scored = ~np.isnan(margin)
        counts, metric = counts & is_scored, metric_winners(np.where(is_scored, margin, 0.0))
    return decision(manifest, Entries(people, metric, turn=turn, entered=entered, counts=counts))


def _is_unfinished(study: Study, manifest: Manifest, now: datetime) -> np.ndarray:
    """(n,) whether a comparison, by position, lacks a vote or has one that may be undone."""
    undoable = now - timedelta(seconds=manifest.annotation.undo_seconds)
    fresh = counted_votes().filter(assignment__comparison__study=study, received_at__gte=undoable)
    recent = set(fresh.values_list("assignment__comparison", flat=True))
    return np.array([pk in recent or left > 0 for pk, left in _votes_left(study)], dtype=bool)


def votes_left(study: Study) -> int:
    """Return how many votes the comparisons still lack, without those that early stopping saves."""
    return sum(left for _pk, left in _votes_left(study))


def _votes_left(study: Study) -> list[tuple[int, int]]:
    """Return the comparisons by position, each with the number of votes that it still lacks."""
    columns = study.comparisons.order_by("position").values_list("pk", "vote_count", "overlap", "decided_at")
    return [(pk, 0 if early else max(0, wanted - have)) for pk, have, wanted, early in columns]


def _margins(study: Study, manifest: Manifest, sets: np.ndarray) -> Floats:
    """(n,) positive if the metric names A; NaN if a score is missing or unusable."""
    scores = SetScore.objects.filter(
        SetScore.USABLE, image_set__in=set_ids(Comparison.objects.filter(study=study)), metric=manifest.encoder.metric
    )
    rows = scores.values_list("image_set", "value", "higher_is_more_consistent")
    value = {pk: number if is_higher else -number for pk, number, is_higher in rows}
    return np.array([value.get(a, np.nan) - value.get(b, np.nan) for a, b in sets.tolist()])
