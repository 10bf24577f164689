"""Single votes between two of K models, and how often each model won against each other one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.votes.counts import Integers

CHOICES = (1, -1, 0)  # the model shown left, the model shown right, a tie


@dataclass(frozen=True, slots=True, eq=False)
class ModelVotes:
    """v votes, all (v,): numbers of the comparison, its prompt, the annotator, and the models shown left and right.

    choice: 1 for the model shown left, -1 for the one shown right, 0 for a tie. model_count: K; a model may have no
    vote at all.
    """

    comparison: Integers
    prompt: Integers
    annotator: Integers
    left: Integers
    right: Integers
    choice: Integers
    model_count: int

    @classmethod
    def of(
        cls,
        units: ArrayLike,
        models: ArrayLike,
        choice: ArrayLike,
        *,
        model_count: int,
        prompt: ArrayLike | None = None,
    ) -> "ModelVotes":
        """Return validated votes.

        units: (v, 2) the comparison and the annotator of each vote, numbers from zero up. models: (v, 2) the model
        shown left and the one shown right, 0 .. K - 1. choice: (v,). prompt: (v,) labels of the clusters of
        comparisons, or None if each comparison is its own.
        Raises ValueError for unequal lengths, unknown models, a model against itself, other choices, a comparison of
        more than two models or prompts, and two votes of one annotator on one comparison.
        """
        given, pair = (
            np.asarray(units, dtype=np.int64).reshape(-1, 2),
            np.asarray(models, dtype=np.int64).reshape(-1, 2),
        )
        chosen = np.asarray(choice, dtype=np.int64)
        labels = given[:, 0] if prompt is None else np.unique(np.asarray(prompt), return_inverse=True)[1]
        if not len(given) == len(pair) == len(chosen) == len(labels):
            raise ValueError("every vote has a comparison, an annotator, two models, a choice and a prompt")
        if (given < 0).any() or (pair < 0).any() or (pair >= model_count).any() or (pair[:, 0] == pair[:, 1]).any():
            raise ValueError(f"a vote is between two different models, numbered from 0 to {model_count - 1}")
        if not np.isin(chosen, CHOICES).all():
            raise ValueError("a choice is 1 (left), -1 (right) or 0 (tie)")
        _check_units(given, np.column_stack([np.sort(pair, axis=1), labels]))
        return cls(given[:, 0], labels, given[:, 1], pair[:, 0], pair[:, 1], chosen, model_count)


def _check_units(units: Integers, shared: Integers) -> None:
    """Raise ValueError for a comparison with several pairs or prompts, and for repeated votes."""
    if len(np.unique(units, axis=0)) < len(units):
        raise ValueError("an annotator has one vote on a comparison, not two")
    told_apart = np.unique(np.column_stack([units[:, 0], shared]), axis=0)[:, 0]
    if len(np.unique(told_apart)) < len(told_apart):
        raise ValueError("all votes on a comparison are between the same two models on the same prompt")


@dataclass(frozen=True, slots=True, eq=False)
class PairwiseTable:
    """wins: (K, K) how often the row's model was chosen over the column's. ties: (K, K), symmetric."""

    wins: Integers
    ties: Integers

    @property
    def votes(self) -> Integers:
        """(K, K) votes between two models, symmetric."""
        return self.wins + self.wins.T + self.ties


def pairwise_table(votes: ModelVotes) -> PairwiseTable:
    """Count wins and ties of each pair of models.

    >>> table = pairwise_table(ModelVotes.of([(0, 0), (0, 1)], [(0, 1), (1, 0)], [1, 0], model_count=2))
    >>> table.wins.tolist(), table.ties.tolist()
    ([[0, 1], [0, 0]], [[0, 1], [1, 0]])
    """
    shape = (votes.model_count, votes.model_count)
    wins, ties = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(wins, (votes.left[votes.choice == 1], votes.right[votes.choice == 1]), 1)
    np.add.at(wins, (votes.right[votes.choice == -1], votes.left[votes.choice == -1]), 1)
    np.add.at(ties, (votes.left[votes.choice == 0], votes.right[votes.choice == 0]), 1)
    return PairwiseTable(wins, ties + ties.T)
