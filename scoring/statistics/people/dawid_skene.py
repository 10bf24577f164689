"""The winners if annotators differ in skill: a sensitivity analysis of the sign of the votes.

Source: Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm", here
with the pseudo-counts of a Dirichlet prior on every annotator's confusion matrix.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from scoring.statistics.agreement.agreement import Signs, people_winners
from scoring.statistics.votes.counts import Floats, Integers
from scoring.statistics.votes.votes import Votes

LEAST_ANNOTATORS = 3
_FEW_VOTES = 10
_ON_DIAGONAL, _OFF_DIAGONAL = 4.0, 1.0
_CHANGE, _MOST_ROUNDS = 1e-10, 1000
_SIGN_OF_CLASS = np.array((1, -1, 0), dtype=np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """The fitted model over the comparisons that have votes.

    comparisons: (m,) their numbers. posterior: (m, q) chance of each class A, B (and tie). winners: (m,) signs of the
    most probable class, a tie if two are equally probable. changed: how many differ from the sign of the votes.
    skill: (annotators, q, q), rows the class, columns the vote. warnings: sentences about the fit's weaknesses.
    """

    comparisons: Integers
    posterior: Floats
    winners: Signs
    changed: int
    skill: Floats
    rounds: int
    warnings: tuple[str, ...]


def dawid_skene(votes: Votes, *, ties_allowed: bool, learn_prior: bool = False) -> DawidSkene | str:
    """Fit by EM from the vote shares, or return the reason why there is no fit.

    ties_allowed: whether a tie could be voted, which makes it a class of its own. learn_prior: estimate the classes'
    frequencies too, instead of holding them equal. Stops when the log-posterior changes by less than 1e-10, or after
    1,000 rounds. No fit with fewer than three annotators, because their skills cannot be separated.
    Raises ValueError for tie votes if none were allowed.

    >>> rows = [(0, 0, 0), (0, 0, 1), (1, 1, 1), (1, 1, 0), (0, 1, 1)]
    >>> cells = [(i, j, choice) for i, row in enumerate(rows) for j, choice in enumerate(row)]
    >>> fit = dawid_skene(Votes.of(*zip(*cells)), ties_allowed=False)
    >>> fit.posterior[:, 1].round(4).tolist()
    [0.0179, 0.1187, 0.9824, 0.8829, 0.7719]
    """
    q = 3 if ties_allowed else 2
    if (votes.choice >= q).any():
        raise ValueError("there are tie votes, although none were allowed")
    annotators = np.unique(votes.annotator)
    if len(annotators) < LEAST_ANNOTATORS:
        return f"{_annotators(len(annotators))}: the skills of fewer than {LEAST_ANNOTATORS} cannot be told apart"
    fit = _Fit(votes, q, learn_prior)
    rounds = fit.run()
    counts = votes.counts(int(votes.comparison.max()) + 1)[fit.comparisons]
    winners = _winners(fit.posterior)
    return DawidSkene(
        comparisons=fit.comparisons,
        posterior=fit.posterior,
        winners=winners,
        changed=int((winners != people_winners(counts)).sum()),
        skill=fit.skill,
        rounds=rounds,
        warnings=_warnings(np.bincount(fit.annotator), fit.skill),
    )


class _Fit:
    """The state of the EM iteration."""

    def __init__(self, votes: Votes, q: int, learn_prior: bool) -> None:
        self.comparisons, self._row = np.unique(votes.comparison, return_inverse=True)
        annotators, self.annotator = np.unique(votes.annotator, return_inverse=True)
        self._choice, self._q, self._learn_prior = votes.choice, q, learn_prior
        self._pseudo = np.where(np.eye(q, dtype=bool), _ON_DIAGONAL, _OFF_DIAGONAL)
        self._cell = self.annotator * q + self._choice
        self._cell_count = len(annotators) * q
        counts = np.bincount(self._row * q + self._choice, minlength=len(self.comparisons) * q).reshape(-1, q)
        self.posterior: Floats = counts / counts.sum(axis=1, keepdims=True)
        self._log_prior: Floats = np.full(q, -np.log(q))
        self.skill: Floats = np.empty((len(annotators), q, q))

    def run(self) -> int:
        """Iterate to convergence and return the number of rounds."""
        before = -np.inf
        for done in range(1, _MOST_ROUNDS + 1):
            self._maximise()
            after = self._expect()
            if abs(after - before) < _CHANGE:
                return done
            before = after
        return _MOST_ROUNDS

    def _maximise(self) -> None:
        columns = [
            np.bincount(self._cell, weights=self.posterior[self._row, k], minlength=self._cell_count)
            for k in range(self._q)
        ]
        counted = np.stack(columns).reshape(self._q, -1, self._q).swapaxes(0, 1) + self._pseudo
        self.skill = counted / counted.sum(axis=2, keepdims=True)
        if self._learn_prior:
            with np.errstate(divide="ignore"):  # a class without votes has no chance, in logarithms -inf
                self._log_prior = np.log(self.posterior.mean(axis=0))

    def _expect(self) -> float:
        log_skill = np.log(self.skill)
        evidence = log_skill[self.annotator, :, self._choice]
        rows = len(self.comparisons)
        summed = [np.bincount(self._row, weights=evidence[:, k], minlength=rows) for k in range(self._q)]
        joint: Floats = np.stack(summed, axis=1) + self._log_prior
        likelihood: NDArray[np.float64] = logsumexp(joint, axis=1)
        self.posterior = np.exp(joint - likelihood[:, np.newaxis])
        return float(likelihood.sum() + (self._pseudo * log_skill).sum())


def _winners(posterior: Floats) -> Signs:
    is_best = np.isclose(posterior, posterior.max(axis=1, keepdims=True), rtol=0, atol=1e-9)
    signs: Signs = np.where(is_best.sum(axis=1) == 1, _SIGN_OF_CLASS[is_best.argmax(axis=1)], 0).astype(np.int8)
    return signs


def _warnings(votes_of_annotator: Integers, skill: Floats) -> tuple[str, ...]:
    few = int((votes_of_annotator < _FEW_VOTES).sum())
    poor = int((np.diagonal(skill, axis1=1, axis2=2) < 0.5).any(axis=1).sum())
    sentences = {
        f"fewer than {_FEW_VOTES} votes: {_annotators(few)}": few,
        f"by the model, wrong on most comparisons of one winner: {_annotators(poor)}": poor,
    }
    return tuple(sentence for sentence, count in sentences.items() if count)


def _annotators(count: int) -> str:
    return f"{count} {'annotator' if count == 1 else 'annotators'}"
