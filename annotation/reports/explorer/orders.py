"""Orders and choices of comparisons, and the few that show the most. Pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from annotation.reports.findings.agreement.comparisons import ComparisonRow

Key = Callable[[ComparisonRow], tuple[float, ...]]
MOST_TELLING = 30


@dataclass(frozen=True, slots=True)
class Order:
    """An order of comparisons: its name in words, what comes first, and the key that sorts by it."""

    label: str
    meaning: str
    key: Key


@dataclass(frozen=True, slots=True)
class Choice:
    """A part of the comparisons, with its name in words."""

    label: str
    is_chosen: Callable[[ComparisonRow], bool]


def split(row: ComparisonRow) -> float:
    """Return how split the votes are: the share of pairs of votes that differ; 0 with fewer than two votes.

    >>> split(ComparisonRow(1, "", 2.0, 1.0, 1.0, 3, 2, 0, "A", "A", True, ""))
    0.6
    """
    counts = (row.votes_a, row.votes_b, row.votes_tie)
    pairs = sum(counts) * (sum(counts) - 1)
    return 1 - sum(count * (count - 1) for count in counts) / pairs if pairs else 0.0


def pull(row: ComparisonRow) -> float:
    """Return how far votes and metric pull apart: the lead in votes, as a share of them, times the margin.

    In points of score: positive if they name different models, negative if they name the same, 0 if either names none
    or is missing.
    """
    votes = row.votes_a + row.votes_b + row.votes_tie
    return -(row.votes_a - row.votes_b) / votes * row.margin if votes and row.margin is not None else 0.0


def _by_disagreement(row: ComparisonRow) -> tuple[float, ...]:
    """Sort different winners first, then a tie on one side, then the same winner: strict agreement, then the pull."""
    return (row.agrees is None, row.agrees is True, -pull(row), row.position)


def _by_margin(row: ComparisonRow) -> tuple[float, ...]:
    return (row.margin is None, -abs(row.margin or 0.0), row.position)


def _by_closeness(row: ComparisonRow) -> tuple[float, ...]:
    return (row.margin is None, abs(row.margin or 0.0), row.position)


def _by_split(row: ComparisonRow) -> tuple[float, ...]:
    votes = row.votes_a + row.votes_b + row.votes_tie
    return (-split(row), votes == 0, row.position)


ORDERS = {
    "disagreement": Order(
        "Clearest disagreement",
        "First the comparisons whose votes and metric name different models, both clearly: the lead in votes, as a "
        "share of the votes, times the margin.",
        _by_disagreement,
    ),
    "split": Order("Split votes", "First the comparisons in which most pairs of votes differ.", _by_split),
    "margin": Order("Largest margin", "First the comparisons on which the metric is surest.", _by_margin),
    "close": Order("Smallest margin", "First the comparisons on which the metric hardly decides.", _by_closeness),
    "position": Order("Order of the study", "As in the study file.", lambda row: (row.position,)),
}
CHOICES = {
    "all": Choice("all", lambda _row: True),
    "disagree": Choice("where votes and metric disagree", lambda row: row.agrees is False),
    "agree": Choice("where they agree", lambda row: row.agrees is True),
    "divided": Choice("where the metrics disagree", lambda row: row.metrics_differ is True),
    "missing": Choice("without votes or scores", lambda row: row.agrees is None),
}


def select_comparisons(
    rows: Sequence[ComparisonRow],
    *,
    by: str = "disagreement",
    show: str = "all",
    words: str = "",
    models: Collection[str] = (),
) -> tuple[ComparisonRow, ...]:
    """Return the comparisons of a choice whose prompts contain all the words (in any case), in an order.

    models: the names of two models, to return only their comparisons; empty for all comparisons.
    Raises KeyError for an unknown order or choice.
    """
    order, choice, sought = ORDERS[by], CHOICES[show], words.casefold().split()
    kept = [row for row in rows if choice.is_chosen(row) and all(word in row.prompt.casefold() for word in sought)]
    of_pair = [row for row in kept if not models or {row.model_a, row.model_b} == set(models)]
    return tuple(sorted(of_pair, key=order.key))


def most_telling(rows: Sequence[ComparisonRow]) -> tuple[tuple[ComparisonRow, str], ...]:
    """Return the few comparisons that show the most, each with the reason.

    They are taken in turn from three orders: by disagreement, by split votes and by margin.
    """
    analysed = [row for row in rows if row.agrees is not None]
    disagree = [(row, "votes and metric disagree") for row in select_comparisons(analysed) if not row.agrees]
    split_votes = [(row, "split votes") for row in select_comparisons(analysed, by="split") if split(row)]
    clear = [(row, "large margin") for row in select_comparisons(analysed, by="margin")]
    chosen: dict[int, tuple[ComparisonRow, str]] = {}
    for candidate in chain.from_iterable(zip_longest(disagree, split_votes, clear)):
        if candidate and len(chosen) < MOST_TELLING:
            chosen.setdefault(candidate[0].position, candidate)
    return tuple(chosen.values())
