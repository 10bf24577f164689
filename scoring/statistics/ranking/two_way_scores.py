"""The variance of fitted parameters over prompts, over annotators, and over what both share, from score contributions.

Each group of votes is left out in one Newton step from the fit, so that its own weight in the fit is allowed for.
Source: Cameron, Gelbach and Miller (2011), "Robust inference with multiway clustering"; MacKinnon, Nielsen and Webb
(2024), "Jackknife inference with two-way clustering".
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scoring.statistics.ranking.davidson import Layout
from scoring.statistics.ranking.model_votes import ModelVotes
from scoring.statistics.votes.counts import Floats, Integers

_WHOLE_WEIGHT = 1 - 1e-8  # a group with all the information on some parameter: without it there is no fit


@dataclass(frozen=True, slots=True, eq=False)
class TwoWayCovariance:
    """(q, q) covariances of parameters over prompts, over annotators, and over the votes of an annotator on a prompt.

    All NaN if the parameters cannot be fitted without one of the groups. prompts, annotators: how many there are.
    """

    over_prompts: Floats
    over_annotators: Floats
    over_votes: Floats
    prompts: int
    annotators: int

    @property
    def is_defined(self) -> bool:
        """Whether the parameters can be fitted without each of the groups."""
        return bool(np.isfinite(self.over_prompts + self.over_annotators + self.over_votes).all())

    @property
    def joint(self) -> Floats:
        """prompts + annotators - votes, with negative eigenvalues set to zero: only its correlations are used."""
        values, vectors = np.linalg.eigh(self.over_prompts + self.over_annotators - self.over_votes)
        return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T, dtype=np.float64)

    def variance(self, contrast: Floats) -> tuple[float, float]:
        """Return the variance of a contrast (q,) of the parameters, and its degrees of freedom.

        It is prompts + annotators - votes, never below the larger of the first two. The degrees of freedom are those of
        Satterthwaite (1946) for the first two, and never fewer than the smaller number of groups minus one.
        """
        prompts, annotators, votes = (
            float(contrast @ part @ contrast) for part in (self.over_prompts, self.over_annotators, self.over_votes)
        )
        total = max(prompts + annotators - votes, prompts, annotators)
        least = min(self.prompts, self.annotators) - 1
        spread = prompts**2 / (self.prompts - 1) + annotators**2 / (self.annotators - 1)
        return total, max(least, total**2 / spread) if spread > 0 else least


def two_way_covariance(votes: ModelVotes, layout: Layout, parameters: Floats) -> TwoWayCovariance:
    """Return the covariances of the fitted parameters.

    >>> from scoring.statistics.ranking.davidson import fit
    >>> cast = [(p, j, 1 if (p + j) % 3 else -1) for p in range(9) for j in range(7)]
    >>> votes = ModelVotes.of([row[:2] for row in cast], [(0, 1)] * 63, [row[2] for row in cast], model_count=2)
    >>> layout = Layout.of(votes, side_effect=False)
    >>> found = two_way_covariance(votes, layout, fit(layout))
    >>> found.prompts, found.annotators, found.over_votes.shape
    (9, 7, (1, 1))
    """
    cells = votes.prompt * (votes.annotator.max(initial=0) + 1) + votes.annotator
    over_prompts, over_annotators, over_votes = (
        _left_out(layout, parameters, group) for group in (votes.prompt, votes.annotator, cells)
    )
    return TwoWayCovariance(
        _jackknife(over_prompts),
        _jackknife(over_annotators),
        _jackknife(over_votes),
        prompts=len(over_prompts),
        annotators=len(over_annotators),
    )


def _left_out(layout: Layout, parameters: Floats, group: Integers) -> Floats:
    """(g, q) by how much the parameters change without each group, NaN if they cannot be fitted without it."""
    m, _, q = layout.columns.shape
    names, row = np.unique(group, return_inverse=True)
    shape = (len(names), 3 * m)
    counts = sparse.csr_array((np.ones(len(row)), (row, layout.pattern * 3 + layout.outcome)), shape=shape)
    scores = np.asarray(counts @ layout.scores(parameters).reshape(3 * m, q))
    each = np.repeat(layout.information(parameters), 3, axis=0).reshape(3 * m, q * q)
    information = np.asarray(counts @ each).reshape(-1, q, q)
    whiten = np.linalg.inv(np.linalg.cholesky(information.sum(axis=0)))
    weights: Floats = whiten @ information @ whiten.T
    if np.linalg.eigvalsh(weights)[:, -1].max() > _WHOLE_WEIGHT:
        return np.full((len(names), q), np.nan)
    steps = np.linalg.solve(np.eye(q) - weights, (scores @ whiten.T)[:, :, np.newaxis])[:, :, 0]
    return np.asarray(-steps @ whiten, dtype=np.float64)


def _jackknife(changes: Floats) -> Floats:
    """(q, q) the jackknife covariance of (g, q) changes, around their mean."""
    deviations = changes - changes.mean(axis=0)
    return np.asarray(deviations.T @ deviations * (len(changes) - 1) / len(changes), dtype=np.float64)
