"""The comparisons one by one: scores, votes, and who won by each. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from annotation.reports.agreement_report import ComparisonRow
from annotation.reports.counting import Outcome

WINNERS = {1: "A", -1: "B", 0: "tie"}
Scores = NDArray[np.float64]


def comparison_rows(
    found: Outcome, *, positions: Iterable[int], prompts: Sequence[str], score_a: Scores, score_b: Scores
) -> tuple[ComparisonRow, ...]:
    """One row for each of n comparisons, in the study's order.

    positions: from 0. score_a, score_b: (n,), NaN where missing.
    """
    columns = zip(positions, prompts, score_a.tolist(), score_b.tolist(), strict=True)
    return tuple(_row(found, index, *column) for index, column in enumerate(columns))


def _row(found: Outcome, index: int, position: int, prompt: str, score_a: float, score_b: float) -> ComparisonRow:
    votes_a, votes_b, votes_tie = found.votes[index].tolist()
    has_votes, is_scored = bool(found.has_votes[index]), bool(found.is_scored[index])
    return ComparisonRow(
        position=position + 1,
        prompt=prompt,
        score_a=_number(score_a),
        score_b=_number(score_b),
        margin=_number(float(found.margin[index])),
        votes_a=votes_a,
        votes_b=votes_b,
        votes_tie=votes_tie,
        people_winner=WINNERS[int(found.people[index])] if has_votes else None,
        metric_winner=WINNERS[int(found.metric[index])] if is_scored else None,
        agrees=bool(found.people[index] == found.metric[index]) if has_votes and is_scored else None,
        missing=" and ".join(name for name, there in (("votes", has_votes), ("scores", is_scored)) if not there),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
