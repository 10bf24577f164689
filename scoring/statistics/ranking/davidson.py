"""Bradley-Terry with ties (Davidson): the likelihood, its maximum, and whether it has one.

Source: Davidson (1970), "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments";
Davidson and Beaver (1977), "On extending the Bradley-Terry model to incorporate within-pair order effects".
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import linprog
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import log_softmax

from scoring.statistics.ranking.model_votes import CHOICES, ModelVotes
from scoring.statistics.votes.counts import Floats, Integers

_MOST_STEPS = 100
_CONVERGED = 1e-12  # of the decrement of Newton's method, in units of log-likelihood
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The distribution of the votes: m patterns (left model, right model), each with 3 outcomes as in CHOICES.

    pattern: (v,) of each vote. outcome: (v,) 0, 1, 2. columns: (m, 3, q), what each parameter adds to the logarithm of
    each outcome's weight. allowed: (3,) 0 for a tie if no vote is one. basis: (K, K - 1), from parameters
    to log strengths that add up to zero.
    """

    pattern: Integers
    outcome: Integers
    columns: Floats
    allowed: Floats
    basis: Floats
    has_ties: bool
    has_side: bool

    @classmethod
    def of(cls, votes: ModelVotes, *, side_effect: bool) -> "Layout":
        """Return the layout of votes: log strengths, then log nu if a vote is a tie, then the side effect."""
        pairs, pattern = np.unique(np.column_stack([votes.left, votes.right]), axis=0, return_inverse=True)
        has_ties = bool((votes.choice == 0).any())
        basis = null_space(np.ones((1, votes.model_count)))
        left, right = basis[pairs[:, 0]], basis[pairs[:, 1]]
        strengths = np.stack([left, right, (left + right) / 2], axis=1)
        others = [np.eye(3)[2]] * has_ties + [np.eye(3)[0]] * side_effect  # the side does not touch the tie
        added = [np.broadcast_to(column[:, np.newaxis], (len(pairs), 3, 1)) for column in others]
        outcome = np.select([votes.choice == chosen for chosen in CHOICES], [0, 1, 2])
        allowed = np.array([1.0, 1.0, float(has_ties)])
        return cls(pattern, outcome, np.concatenate([strengths, *added], axis=2), allowed, basis, has_ties, side_effect)

    def counts(self) -> Floats:
        """(m, 3) votes of each pattern and outcome."""
        cells = np.bincount(self.pattern * 3 + self.outcome, minlength=3 * len(self.columns))
        return cells.reshape(-1, 3).astype(np.float64)

    def log_chances(self, parameters: Floats) -> Floats:
        """(m, 3) logarithms of the chance of each outcome."""
        with np.errstate(divide="ignore"):
            weights = self.columns @ parameters + np.log(self.allowed)
        return np.asarray(log_softmax(weights, axis=1), dtype=np.float64)

    def scores(self, parameters: Floats) -> Floats:
        """(m, 3, q) the gradient of the log-likelihood of one vote with each outcome."""
        chances = np.exp(self.log_chances(parameters))
        return np.asarray(self.columns - np.einsum("mo,moq->mq", chances, self.columns)[:, np.newaxis])

    def information(self, parameters: Floats) -> Floats:
        """(m, q, q) minus the second derivative of the log-likelihood of one vote: the same for each outcome."""
        chances, scores = np.exp(self.log_chances(parameters)), self.scores(parameters)
        return np.asarray(np.einsum("mo,mop,moq->mpq", chances, scores, scores), dtype=np.float64)


def fit(layout: Layout) -> Floats:
    """Return the (q,) parameters of greatest likelihood, by Newton's method with halved steps.

    Raises ValueError if it does not converge, which it does wherever `why_no_fit` finds nothing.

    >>> votes = ModelVotes.of([(p, 0) for p in range(4)], [(0, 1)] * 4, [1, 1, 1, -1], model_count=2)
    >>> fit(Layout.of(votes, side_effect=False)).shape
    (1,)
    """
    counts, found = layout.counts(), np.zeros(layout.columns.shape[2])
    if layout.has_ties:  # equal strengths and no side effect: the maximum over nu alone
        found[layout.basis.shape[1]] = np.log(2 * counts[:, 2].sum() / counts[:, :2].sum())
    for _ in range(_MOST_STEPS):
        gradient = np.einsum("mo,moq->q", counts, layout.scores(found))
        curvature = np.einsum("m,mpq->pq", counts.sum(axis=1), layout.information(found))
        step = np.linalg.solve(curvature, gradient)
        if gradient @ step < _CONVERGED:
            return np.asarray(found + step, dtype=np.float64)
        found = found + step * _part_of_step(layout, counts, found, step)
    raise ValueError("the fit of Bradley-Terry with ties does not converge")


def _part_of_step(layout: Layout, counts: Floats, found: Floats, step: Floats) -> float:
    """Return the first of 1, 1/2, 1/4 .. by which the step raises the log-likelihood."""
    part, before = 1.0, log_likelihood(layout, counts, found)
    while log_likelihood(layout, counts, found + part * step) < before and part > _ROUNDING:
        part /= 2
    return part


def log_likelihood(layout: Layout, counts: Floats, parameters: Floats) -> float:
    """Return the log-likelihood of (m, 3) counted votes.

    >>> votes = ModelVotes.of([(0, 0)], [(0, 1)], [1], model_count=2)
    >>> layout = Layout.of(votes, side_effect=False)
    >>> round(log_likelihood(layout, layout.counts(), np.zeros(1)), 4)  # equal strengths: one half
    -0.6931
    """
    logs = layout.log_chances(parameters)
    return float((counts * np.where(counts > 0, logs, 0.0)).sum())


def why_no_fit(votes: ModelVotes, layout: Layout, names: tuple[str, ...]) -> str:
    """Say why no single finite maximum of the likelihood exists; empty if there is one.

    A direction in which no vote's likelihood falls is found by linear programming, which is exact for such a model.
    Source: Albert and Anderson (1984), "On the existence of maximum likelihood estimates in logistic regression
    models".

    >>> votes = ModelVotes.of([(0, 0)], [(0, 1)], [1], model_count=2)
    >>> why_no_fit(votes, Layout.of(votes, side_effect=False), ("A", "B")) != ""
    True
    """
    if not len(votes.choice):
        return "no votes"
    if not (votes.choice != 0).any():
        return "every vote is a tie"
    groups = _groups(votes)
    if len(groups) > 1:
        told = "; ".join(_listed(group, names) for group in groups)
        return f"the models fall into groups that were never compared: {told}"
    slack = _slack(layout)
    if np.linalg.matrix_rank(slack) < slack.shape[1]:
        return "the side effect cannot be told from the strengths: each pair was always shown on the same sides"
    solution = linprog(-slack.sum(axis=0), A_ub=-slack, b_ub=np.zeros(len(slack)), bounds=(-1, 1))
    direction = np.asarray(solution.x, dtype=np.float64)  # zero always fits, so that there is a solution
    if (slack @ direction).max() <= _ROUNDING:
        return ""
    return _separation(layout.basis @ direction[: layout.basis.shape[1]], names)


def _groups(votes: ModelVotes) -> list[Integers]:
    """Return the models of each connected part of the design."""
    shape = (votes.model_count, votes.model_count)
    graph = csr_array((np.ones(len(votes.left)), (votes.left, votes.right)), shape=shape)
    count, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == group) for group in range(count)]


def _slack(layout: Layout) -> Floats:
    """(s, q) by how much each observed outcome gains over another one that was possible, for each parameter."""
    seen = np.argwhere(layout.counts() > 0)
    possible = np.flatnonzero(layout.allowed)
    rows = [layout.columns[m, o] - layout.columns[m, other] for m, o in seen for other in possible if other != o]
    return np.array(rows)


def _separation(strengths: Floats, names: tuple[str, ...]) -> str:
    """Say which models the votes put infinitely far above which. strengths: (K,) the direction without end."""
    top = strengths > strengths.max() - _ROUNDING
    if top.all():
        return "the votes for a side, or the ties, have no finite estimate: all votes go the same way"
    above, below = (_listed(np.flatnonzero(part), names) for part in (top, ~top))
    return f"no finite strengths: {above} never lost to {below}, so votes cannot say by how much it is better"


def _listed(models: Integers, names: tuple[str, ...]) -> str:
    return ", ".join(names[model] for model in models)
