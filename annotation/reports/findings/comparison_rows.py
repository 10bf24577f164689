"""The comparisons one by one: scores, votes, and who won by each. Pure."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from annotation.reports.agreement_report import ComparisonRow
from annotation.reports.data.counting import Outcome

WINNERS = {1: "A", -1: "B", 0: "tie"}
Scores = NDArray[np.float64]


def comparison_rows(
    found: Outcome, *, positions: Iterable[int], prompts: Sequence[str], score_a: Scores, score_b: Scores
) -> tuple[ComparisonRow, ...]:
    """One row for each of n comparisons, in the study's order.

    positions: from 0. score_a, score_b: (n,), NaN where missing.
    """
    # Lists, since taking single numbers out of arrays costs most where there are thousands of comparisons.
    columns = zip(
        positions,
        prompts,
        score_a.tolist(),
        score_b.tolist(),
        found.margin.tolist(),
        found.votes.tolist(),
        [WINNERS[sign] for sign in found.people.tolist()],
        [WINNERS[sign] for sign in found.metric.tolist()],
        found.has_votes.tolist(),
        found.is_scored.tolist(),
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
