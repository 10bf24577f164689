"""The evidence of a study that stops when its claim is decided. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.study_data import SealedData, UnsealedData
from annotation.reports.findings.analysed import Analysed
from annotation.studies.evidence import Entries, credits_and_sizes, decision, largest_cluster, rivals
from annotation.voting.rules import is_decided
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.studies.sequential import Decision, complete_prefix, confidence_sequence, threshold
from scoring.statistics.votes.counts import Integers


@dataclass(frozen=True, slots=True)
class Sequential:
    """The claim that ended the voting, or would have.

    claim: "metric" or "models". rivals: the constant choices that the metric must beat. clusters: those that entered,
    of planned_clusters. comparisons: those of them that count. threshold: the e-value from which on a claim is shown.
    agreement: of the metric, with a confidence sequence. saved_votes: those that the comparisons lacked when the
    claim was decided; 0 if the study did not stop. ended_after: the clusters that had decided the claim when the voting
    ended, 0 if it did not end for that reason. ended_with: the verdict then; empty in studies that ended before it was
    stored.
    """

    claim: str
    rivals: tuple[str, ...]
    decision: Decision
    threshold: float
    clusters: int
    planned_clusters: int
    comparisons: int
    agreement: Estimate
    saved_votes: int
    ended_after: int = 0
    ended_with: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether what counts now does not decide as what counted when the voting ended."""
        decides_alike = self.decision.verdict in ((self.ended_with,) if self.ended_with else ("shown", "shown worse"))
        return self.ended_after > 0 and not decides_alike


def compute(analysed: Analysed) -> Sequential | None:
    """Return the evidence of the clusters that entered, by the votes that count.

    None if the study has another design, and for a metric that the claim is not about.

    They are those that were complete, in the drawn order, or as many as had decided the claim when the voting ended:
    a vote that was withdrawn since then does not take its cluster out.
    """
    data, outcome = analysed.data, analysed.outcome
    ended = ending(data)
    manifest, order = data.manifest, data.manifest.turns()
    if order is None or is_about_another_metric(data):
        return None
    turn = np.array(order, dtype=np.int64)[data.comparisons.position]
    entered = complete_prefix(turn, _is_complete(data, outcome.votes)) | (turn < ended.after_clusters)
    counts = outcome.is_analysed if manifest.annotation.stop_when_decided == "metric" else outcome.has_votes
    entries = Entries(outcome.people, outcome.metric, turn=turn, entered=entered, counts=counts)
    sums, sizes = credits_and_sizes(
        manifest, people=outcome.people, metric=outcome.metric, turn=turn, entered=entered & outcome.is_analysed
    )
    return Sequential(
        claim=manifest.annotation.stop_when_decided,
        rivals=rivals(manifest) if manifest.annotation.stop_when_decided == "metric" else (),
        decision=decision(manifest, entries),
        threshold=threshold(manifest.analysis.level),
        clusters=len(np.unique(turn[entered])),
        planned_clusters=len(np.unique(turn)),
        comparisons=int((entered & counts).sum()),
        agreement=confidence_sequence(sums, sizes, most=largest_cluster(manifest), level=manifest.analysis.level),
        saved_votes=_saved(data, ended) if ended.after_clusters else 0,
        ended_after=ended.after_clusters,
        ended_with=ended.verdict,
    )


def is_about_another_metric(data: SealedData) -> bool:
    """Whether the voting stops by the evidence for one metric, and the report is about another."""
    return data.manifest.annotation.stop_when_decided == "metric" and data.metric != data.manifest.encoder.metric


def _is_complete(data: UnsealedData, counted: Integers) -> NDArray[np.bool_]:
    """(n,) whether a comparison has its votes, excluded ones too, or was decided before it had them all."""
    overlap, cast = data.manifest.annotation.overlap, np.bincount(data.votes.comparison, minlength=len(counted))
    early = [is_decided(for_a=a, for_b=b, ties=ties, overlap=overlap) for a, b, ties in counted.tolist()]
    return (cast >= overlap) | (np.array(early, dtype=bool) & data.manifest.annotation.early_stopping)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the voting ended: after so many clusters, 0 if another reason ended it, and with which verdict.

    saved_votes: None in studies that ended before it was stored; in some of these the verdict is empty.
    """

    after_clusters: int = 0
    verdict: str = ""
    saved_votes: int | None = None


def ending(data: UnsealedData) -> Ending:
    """Return how the voting ended if the claim was decided."""
    for event in data.events:
        if event.verb == "closed" and event.detail.get("decided_after_clusters"):
            detail = event.detail
            return Ending(detail["decided_after_clusters"], detail.get("verdict", ""), detail.get("votes_saved"))
    return Ending()


def _saved(data: UnsealedData, ended: Ending) -> int:
    planned = data.manifest.annotation.overlap * len(data.comparisons)
    return max(0, planned - len(data.votes)) if ended.saved_votes is None else ended.saved_votes
