"""The best fixed order of K models: for two models it is the constant choice of one of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.votes.counts import Integers

MOST_MODELS = 12  # each further model doubles the search


@dataclass(frozen=True, slots=True)
class FixedOrder:
    """models: numbers of the K models, the best first. right: comparisons whose winner comes before the loser.

    is_best: whether it was searched for, so that no other order is right in more. is_only: whether no other one is as
    good, votes included.
    """

    models: tuple[int, ...]
    right: int
    is_best: bool
    is_only: bool

    @property
    def place(self) -> Integers:
        """(K,) the place of each model in the order, from 0."""
        return np.argsort(np.array(self.models, dtype=np.int64))


def best_fixed_order(wins: ArrayLike, votes: ArrayLike) -> FixedOrder:
    """Return the order of K models that names the winners of the most comparisons, always naming the model before.

    wins, votes: (K, K) comparisons won, and votes, of the row's model against the column's. Of orders that are right in
    as many comparisons the one with more votes counts, then the first by the models' numbers. Exact up to 12 models;
    more are ordered by comparisons won minus comparisons lost. A metric must beat this order, which looks at no image.
    Raises ValueError for tables that are not square and alike.
    Source: Kemeny (1959), "Mathematics without numbers"; searched as by Held and Karp (1962), "A dynamic programming
    approach to sequencing problems".

    >>> best_fixed_order([[0, 5, 1], [2, 0, 4], [2, 0, 0]], [[0, 9, 3], [5, 0, 8], [4, 1, 0]]).models
    (0, 1, 2)
    """
    won, got = np.asarray(wins, dtype=np.int64), np.asarray(votes, dtype=np.int64)
    if won.ndim != 2 or won.shape[0] != won.shape[1] or won.shape != got.shape:
        raise ValueError(f"wins and votes are square tables of the same models, not {won.shape} and {got.shape}")
    worth = won * (1 + got.sum()) + got  # a comparison counts more than all votes
    if len(won) > MOST_MODELS:
        order, is_only = tuple(np.argsort(worth.sum(axis=0) - worth.sum(axis=1), kind="stable").tolist()), False
    else:
        order, is_only = _searched(worth.tolist())
    right = int(np.triu(won[np.ix_(order, order)], 1).sum())
    return FixedOrder(order, right, is_best=len(won) <= MOST_MODELS, is_only=is_only)


def _searched(worth: list[list[int]]) -> tuple[tuple[int, ...], bool]:
    """Return the best order, and whether it is the only one; by the best order of each set of models.

    A set of models is a number, each of whose bits stands for one of them.
    """
    everyone = (1 << len(worth)) - 1
    best, first, count = [0], [0], [1]
    for chosen in range(1, everyone + 1):
        models = [model for model in range(len(worth)) if chosen >> model & 1]
        totals = [best[chosen ^ 1 << model] + sum(worth[model][other] for other in models) for model in models]
        best.append(max(totals))
        tops = [model for model, total in zip(models, totals, strict=True) if total == best[chosen]]
        first.append(tops[0])
        count.append(sum(count[chosen ^ 1 << model] for model in tops))
    order, rest = [], everyone
    while rest:
        order.append(first[rest])
        rest ^= 1 << first[rest]
    return tuple(order), count[everyone] == 1
