"""The crossed model of very many votes, in bounded time.

Variances are estimated from a part of the votes, drawn at random; with these given, fixed effects from all of them.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import linalg

from scoring.statistics.people.crossed_model.design import Curvature, Design
from scoring.statistics.people.crossed_model.fitting import Fit, NoFiniteFit
from scoring.statistics.people.crossed_model.laplace import Laplace
from scoring.statistics.votes.counts import Floats

MOST_VOTES, MOST_COMPARISONS, MOST_ANNOTATORS = 50_000, 10_000, 300
DRAWN_VOTES, DRAWN_ANNOTATORS = 25_000, 150

_CLOSE, _MOST_STEPS = 0.05, 10  # of a Newton step, in standard errors
_PRECISE = 1e-8


def drawn(design: Design, seed: int) -> Design:
    """Return the design, or if it is too large the votes of some annotators on some comparisons, drawn with a seed.

    Up to 50,000 votes only annotators are drawn, and only if there are more than 300: their effects are the size of the
    matrices. From more votes at most 150 annotators are drawn, then at most 10,000 comparisons on which they have at
    most 25,000 votes. The draw does not depend on the votes, so that the estimates stay valid.

    >>> groups, ones = ([0, 0, 1], [0, 1], [0, 1, 0]), np.ones((3, 1))
    >>> drawn(Design.of([1, 0, 1], ones, groups, ones), seed=1).comparison.tolist()
    [0, 0, 1]
    """
    is_many = len(design.category) > MOST_VOTES
    if not is_many and design.annotator_count <= MOST_ANNOTATORS:
        return design
    rng = np.random.default_rng(seed)
    annotators = rng.permutation(design.annotator_count)[: DRAWN_ANNOTATORS if is_many else MOST_ANNOTATORS]
    is_drawn = np.isin(design.annotator, annotators)
    counts = np.bincount(design.comparison[is_drawn], minlength=design.comparison_count)
    order = rng.permutation(np.flatnonzero(counts))[:MOST_COMPARISONS]
    comparisons = order[np.cumsum(counts[order]) <= DRAWN_VOTES]
    return design.part(is_drawn & np.isin(design.comparison, comparisons))


class IterativeCurvature(Curvature):
    """H without a factorisation: the annotators' block is solved by conjugate gradients.

    What one annotator's effects say about another's is left out of the leverages, and nothing else: each annotator has
    so many votes that it is small against what the votes on a prompt say about the prompt.
    """

    def _factorise(self) -> None:
        design = self._design
        share = self._weight**2 * (self._prompt**2 / self._prompts)[design.comparison]
        self._inverses: Floats = np.linalg.inv(self._own_blocks(self._weight - share)).astype(np.float64)
        self._blocks = self._own_blocks(self._weight)

    @property
    def log_determinant(self) -> float:
        """log det H if annotators' effects were independent given the votes."""
        own = -np.linalg.slogdet(self._inverses)[1].sum()
        return float(np.log(self._prompts).sum() + np.log(self._clusters).sum() + own)

    def _solve_annotators(self, right: Floats) -> Floats:
        size = len(right)
        block = linalg.LinearOperator((size, size), matvec=self._times_block, dtype=np.float64)
        nearly = linalg.LinearOperator((size, size), matvec=lambda x: _times(self._inverses, x), dtype=np.float64)
        return np.asarray(linalg.cg(block, right, rtol=_PRECISE, M=nearly)[0])

    def _times_block(self, effects: Floats) -> Floats:
        """Return the annotators' block, less what prompts and clusters explain, times effects."""
        design = self._design
        shared = self._crossed @ effects
        carried = self._prompt**2 * shared / self._prompts
        if self._cluster:
            by_cluster = self._cluster**2 * design.by_cluster(shared / self._prompts) / self._clusters
            carried = carried + by_cluster[design.cluster] / self._prompts
        return np.asarray(_times(self._blocks, effects) - self._crossed.T @ carried)

    def _through_annotators(self) -> tuple[Floats, Floats, Floats]:
        design = self._design
        own = np.einsum("vkl,vl->vk", self._inverses[design.annotator], self._varying)
        by_prompt = self._weight[:, np.newaxis] * own
        return own, by_prompt, by_prompt / self._prompts[design.comparison][:, np.newaxis]


def with_fixed_effects_of_all(design: Design, fitted: Fit) -> Fit:
    """Return the fit with thresholds and fixed effects from all votes of `design`, and the scales of a part.

    The equations are those of the Laplace likelihood, solved by Newton steps. The covariance of the standard deviations
    stays that of the part; it is taken as independent of that of the fixed effects. Raises NoFiniteFit if the equations
    are not solved.

    >>> rng = np.random.default_rng(1)
    >>> groups = (np.repeat(range(40), 3), range(40), np.tile(range(4), 30))
    >>> design = Design.of(rng.integers(0, 2, 120), rng.normal(size=(120, 1)), groups, np.ones((120, 1)))
    >>> part = Fit(np.array([0.0, 0.0, 0.5, 0.0, 0.0]), 0.0, np.array([True, True, True, False, False]), np.eye(5))
    >>> with_fixed_effects_of_all(design, part).parameters.round(2).tolist()
    [-0.02, -0.2, 0.5, 0.0, 0.0]
    """
    likelihood, fixed = Laplace(design, IterativeCurvature), slice(design.fixed_count)
    found = fitted.parameters.copy()

    for _ in range(_MOST_STEPS):
        gradient = likelihood.value_and_gradient(found)[1][fixed]
        covariance = np.linalg.inv(likelihood.information(found))
        step = covariance @ gradient
        found[fixed] += step
        if (np.abs(step) < _CLOSE * np.sqrt(np.diag(covariance))).all():
            break
    else:
        raise NoFiniteFit(int(np.abs(step).argmax()))
    every = fitted.covariance.copy()
    every[fixed], every[:, fixed] = 0.0, 0.0
    every[fixed, fixed] = covariance
    return replace(fitted, parameters=found, covariance=every)


def _times(blocks: Floats, effects: Floats) -> Floats:
    """Return (annotators, r, r) blocks times annotators' effects."""
    return np.asarray(np.einsum("jkl,jl->jk", blocks, effects.reshape(blocks.shape[:2])).ravel())
