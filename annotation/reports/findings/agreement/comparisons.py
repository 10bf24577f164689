"""The comparisons one by one: scores, votes, and the winner by each. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from annotation.reports.findings.analysed import Analysed, Outcome
from scoring.statistics.agreement.constant_choice import NAMES
from scoring.statistics.inference.intervals import Floats

_WINNERS = NAMES | {0: "tie"}


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One comparison: scores, votes, winners ("A", "B", "tie"), None if there is none."""

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


def compute(analysed: Analysed) -> tuple[ComparisonRow, ...]:
    """Return one row for each comparison, in the study's order."""
    rows = analysed.data.comparisons
    return comparison_rows(
        analysed.outcome,
        positions=rows.position.tolist(),
        prompts=rows.prompt,
        score_a=rows.score_a,
        score_b=rows.score_b,
    )


def comparison_rows(
    outcome: Outcome, *, positions: Iterable[int], prompts: Sequence[str], score_a: Floats, score_b: Floats
) -> tuple[ComparisonRow, ...]:
    """Return one row for each of n comparisons.

    positions: from 0. score_a, score_b: (n,), NaN if missing.
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
        strict=True,
    )
    return tuple(_row(*column) for column in columns)


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
        missing=" and ".join(name for name, there in (("votes", has_votes), ("scores", is_scored)) if not there),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
