"""The comparisons one by one: scores, votes, and the winner by each. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from annotation.reports.findings.analysed import Analysed, Outcome
from scoring.statistics.agreement.agreement import metric_winners
from scoring.statistics.agreement.constant_choice import NAMES
from scoring.statistics.agreement.metric_pairs import are_divided
from scoring.statistics.votes.counts import Floats

# By whether there are votes and scores.
_MISSING = {(True, True): "", (False, True): "votes", (True, False): "scores", (False, False): "votes and scores"}
_WINNERS = NAMES | {0: "tie"}


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One comparison: scores, votes, winners ("A", "B", "tie"), None if there is none.

    metrics_differ: whether not all metrics name the same winner; None unless two or more have scored it, and all have.
    model_a, model_b: the names of its models; empty in reports of earlier versions.
    """

    position: int
    prompt: str
    score_a: float | None
    score_b: float | None
    margin: float | None
    votes_a: int
    votes_b: int
    votes_tie: int
    people_winner: str | None
    metric_winner: str | None
    agrees: bool | None
    missing: str
    metrics_differ: bool | None = None
    model_a: str = ""
    model_b: str = ""

    @property
    def people_model(self) -> str | None:
        """The name of people's winner, "tie", or None."""
        return self._named(self.people_winner)

    @property
    def metric_model(self) -> str | None:
        """The name of the metric's winner, "tie", or None."""
        return self._named(self.metric_winner)

    def _named(self, winner: str | None) -> str | None:
        return {"A": self.model_a, "B": self.model_b}.get(winner or "", winner)


def compute(analysed: Analysed) -> tuple[ComparisonRow, ...]:
    """Return one row for each comparison, in the study's order."""
    rows = analysed.data.comparisons
    names = [plan.name for plan in analysed.data.manifest.models.values()]
    models = zip(rows.model_a.tolist(), rows.model_b.tolist(), strict=True)
    return comparison_rows(
        analysed.outcome,
        positions=rows.position.tolist(),
        prompts=rows.prompt,
        models=[(names[a], names[b]) for a, b in models],
        score_a=rows.score_a,
        score_b=rows.score_b,
        other_margins=list(analysed.data.margins.values()),
    )


def comparison_rows(
    outcome: Outcome,
    *,
    positions: Iterable[int],
    prompts: Sequence[str],
    models: Sequence[tuple[str, str]],
    score_a: Floats,
    score_b: Floats,
    other_margins: Sequence[Floats] = (),
) -> tuple[ComparisonRow, ...]:
    """Return one row for each of n comparisons.

    positions: from 0. models: the names of the models of sides A and B. score_a, score_b: (n,), NaN if missing.
    other_margins: (n,) of each other metric, positive if it names A, NaN if missing.
    """
    # Lists, because taking single numbers out of arrays costs most in studies of thousands of comparisons.
    columns = zip(
        positions,
        prompts,
        score_a.tolist(),
        score_b.tolist(),
        outcome.margin.tolist(),
        outcome.votes.tolist(),
        [_WINNERS[sign] for sign in outcome.people.tolist()],
        [_WINNERS[sign] for sign in outcome.metric.tolist()],
        outcome.has_votes.tolist(),
        outcome.is_scored.tolist(),
        _differ(outcome.margin, other_margins),
        models,
        strict=True,
    )
    return tuple(_row(*column) for column in columns)


def _differ(margin: Floats, others: Sequence[Floats]) -> list[bool | None]:
    """Return whether the metrics differ in each comparison; None if there is one metric, or not every one's score."""
    if not others:
        return [None] * len(margin)
    margins = np.stack([margin, *others])
    is_whole = np.asarray(~np.isnan(margins).any(axis=0))
    differ = np.zeros(len(margin), dtype=bool)
    differ[is_whole] = are_divided([metric_winners(row) for row in margins[:, is_whole]])
    return [one if known else None for one, known in zip(differ.tolist(), is_whole.tolist(), strict=True)]


def _row(
    position: int,
    prompt: str,
    score_a: float,
    score_b: float,
    margin: float,
    votes: list[int],
    people: str,
    metric: str,
    has_votes: bool,
    is_scored: bool,
    metrics_differ: bool | None,
    models: tuple[str, str],
) -> ComparisonRow:
    votes_a, votes_b, votes_tie = votes
    return ComparisonRow(
        position=position + 1,
        prompt=prompt,
        score_a=_number(score_a),
        score_b=_number(score_b),
        margin=_number(margin),
        votes_a=votes_a,
        votes_b=votes_b,
        votes_tie=votes_tie,
        people_winner=people if has_votes else None,
        metric_winner=metric if is_scored else None,
        agrees=people == metric if has_votes and is_scored else None,
        missing=_MISSING[has_votes, is_scored],
        metrics_differ=metrics_differ,
        model_a=models[0],
        model_b=models[1],
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
