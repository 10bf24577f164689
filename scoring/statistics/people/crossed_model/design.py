"""The arrays that a crossed model is fitted to, and its linear algebra.

In the algebra prompts and clusters are eliminated, annotators stay as a dense block.

The random effects are z, standard normal, and enter the latent value as scale times z. The curvature of the penalised
log-likelihood is H = I + D Z' W Z D, with the scales D, the indicator columns Z and the votes' weights W. Its block of
prompts is diagonal, and so is the block of clusters once the prompts are eliminated, so that H needs one factorisation
of the size of the annotators' effects (a Schur complement).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse

from scoring.statistics.votes.counts import Floats, Integers, numbered

_NUMBERS_AT_ONCE = 4_000_000  # 32 MB of float64


@dataclass(frozen=True, eq=False)
class Design:
    """v votes, sorted by comparison, of n comparisons in clusters, by annotators.

    category: (v,) ordered, from 0 to `threshold_count`. fixed: (v, p) columns of the fixed effects. comparison,
    annotator: (v,) numbers from zero up. cluster: (n,) the cluster of each comparison. varying: (v, r) columns whose
    effects vary over annotators: ones for taste, the margin for sensitivity, the side for side bias.
    """

    category: Integers
    fixed: Floats
    comparison: Integers
    cluster: Integers
    annotator: Integers
    varying: Floats

    @classmethod
    def of(
        cls, category: ArrayLike, fixed: Floats, groups: tuple[ArrayLike, ArrayLike, ArrayLike], varying: Floats
    ) -> "Design":
        """Return the design with its votes sorted. groups: comparison (v,), cluster (n,) and annotator (v,)."""
        comparison, cluster, annotator = (numbered(labels) for labels in groups)
        order = np.lexsort((annotator, comparison))
        chosen = np.asarray(category, dtype=np.int64)[order]
        return cls(chosen, fixed[order], comparison[order], cluster, annotator[order], varying[order])

    def part(self, rows: NDArray[np.bool_]) -> "Design":
        """Return the design of some of the votes, with groups numbered anew."""
        comparisons = np.unique(self.comparison[rows])
        groups = (self.comparison[rows], self.cluster[comparisons], self.annotator[rows])
        return Design.of(self.category[rows], self.fixed[rows], groups, self.varying[rows])

    @cached_property
    def threshold_count(self) -> int:
        """K - 1 for K categories."""
        return int(self.category.max())

    @cached_property
    def comparison_count(self) -> int:
        """n."""
        return len(self.cluster)

    @cached_property
    def cluster_count(self) -> int:
        """The number of clusters."""
        return int(self.cluster.max()) + 1

    @cached_property
    def annotator_count(self) -> int:
        """The number of annotators who voted."""
        return int(self.annotator.max()) + 1

    @property
    def fixed_count(self) -> int:
        """Thresholds and fixed effects: parameters that are no standard deviation."""
        return int(self.threshold_count + self.fixed.shape[1])

    @cached_property
    def columns(self) -> Integers:
        """(v, r) the column of each annotator's effect among all effects of annotators."""
        r = self.varying.shape[1]
        columns: Integers = self.annotator[:, np.newaxis] * r + np.arange(r)
        return columns

    @cached_property
    def _starts(self) -> Integers:
        counts = np.bincount(self.comparison, minlength=self.comparison_count) * self.varying.shape[1]
        return np.concatenate([[0], np.cumsum(counts)])

    def crossed(self, values: Floats) -> sparse.csr_array:
        """(n, annotators x r) sparse matrix with (v, r) values at each vote's comparison and annotator."""
        shape = (self.comparison_count, self.annotator_count * self.varying.shape[1])
        return sparse.csr_array((values.ravel(), self.columns.ravel(), self._starts), shape=shape)

    def by_comparison(self, values: Floats) -> Floats:
        """(n,) sums of (v,) values."""
        return np.bincount(self.comparison, values, self.comparison_count).astype(np.float64)

    def by_cluster(self, values: Floats) -> Floats:
        """(clusters,) sums of (n,) values."""
        return np.bincount(self.cluster, values, self.cluster_count).astype(np.float64)

    def by_annotator(self, values: Floats) -> Floats:
        """(annotators x r,) sums of (v, r) values, annotator by annotator."""
        length = self.annotator_count * self.varying.shape[1]
        return np.bincount(self.columns.ravel(), values.ravel(), length).astype(np.float64)


# --- linear algebra -----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """A number for each random effect: prompts (n,), clusters (g,) and annotators (annotators x r,)."""

    prompts: Floats
    clusters: Floats
    annotators: Floats

    @classmethod
    def zeros(cls, design: Design) -> "Effects":
        """All effects zero."""
        count = design.annotator_count * design.varying.shape[1]
        return cls(np.zeros(design.comparison_count), np.zeros(design.cluster_count), np.zeros(count))

    def moved(self, step: "Effects", share: float) -> "Effects":
        """Return these effects plus a share of a step."""
        return Effects(
            self.prompts + share * step.prompts,
            self.clusters + share * step.clusters,
            self.annotators + share * step.annotators,
        )

    def dot(self, other: "Effects") -> float:
        """The sum of products."""
        products = (self.prompts @ other.prompts, self.clusters @ other.clusters, self.annotators @ other.annotators)
        return float(sum(products))


class Curvature:
    """H, factorised. scales: (2 + r,) of prompts, clusters, and each annotators' effect. weight: (v,) positive."""

    def __init__(self, design: Design, scales: Floats, weight: Floats) -> None:
        self._design, self._weight = design, weight
        self._prompt, self._cluster = float(scales[0]), float(scales[1])
        self._varying = design.varying * scales[2:]
        self._total = design.by_comparison(weight)
        self._prompts = 1 + self._prompt**2 * self._total
        self._clusters = 1 + self._cluster**2 * design.by_cluster(self._total / self._prompts)
        self._crossed = design.crossed(weight[:, np.newaxis] * self._varying)
        self._factorise()

    @property
    def log_determinant(self) -> float:
        """log det H."""
        diagonal = np.diag(self._factor[0])
        return float(np.log(self._prompts).sum() + np.log(self._clusters).sum() + 2 * np.log(diagonal).sum())

    def solve(self, right: Effects) -> Effects:
        """Return H^-1 times `right`."""
        design, members = self._design, self._design.cluster
        prompts = right.prompts / self._prompts
        clusters = right.clusters - self._cluster * self._prompt * design.by_cluster(self._total * prompts)
        clusters = clusters / self._clusters
        carried = self._prompt * prompts + self._cluster * (clusters[members] / self._prompts)
        annotators = self._solve_annotators(right.annotators - self._crossed.T @ carried)
        shared = self._crossed @ annotators
        clusters = clusters - self._cluster * design.by_cluster(shared / self._prompts) / self._clusters
        shared = shared + self._cluster * self._total * clusters[members]
        return Effects(prompts - self._prompt * shared / self._prompts, clusters, annotators)

    def rows(self) -> tuple[Floats, Floats, Floats]:
        """For each vote, H^-1 times its own scaled columns, at its own effects: (v,) prompt, (v,) cluster, (v, r).

        Times the scales and summed, they are the votes' leverages: the variance of the latent value given the votes.
        """
        design, place = self._design, self._design.comparison
        through = self._through_annotators()
        own, by_prompt, by_cluster = through
        to_prompt = (self._varying * by_prompt).sum(axis=1)
        to_cluster = (self._varying * by_cluster).sum(axis=1)
        prompt_share = self._prompt**2 / self._prompts
        cluster_share = self._cluster**2 / (self._prompts * self._clusters[design.cluster])
        both = design.by_comparison(self._weight * to_cluster)
        within = design.by_comparison(self._weight * to_prompt)
        clusters_own = design.by_cluster(both / self._prompts)[design.cluster]
        left_prompt = (to_prompt - (prompt_share * within + cluster_share * both)[place]) * self._prompt
        left_cluster = to_cluster - (prompt_share * both + cluster_share * clusters_own)[place]
        cluster = self._cluster / self._clusters[design.cluster[place]] * (1 / self._prompts[place] - left_cluster)
        prompt = self._prompt - left_prompt - self._prompt * self._cluster * self._total[place] * cluster
        annotators = own - prompt_share[place, np.newaxis] * by_prompt - cluster_share[place, np.newaxis] * by_cluster
        return prompt / self._prompts[place], cluster, design.varying * annotators

    def _factorise(self) -> None:
        self._factor = linalg.cho_factor(self._annotators_block(), lower=True, overwrite_a=True, check_finite=False)

    def _solve_annotators(self, right: Floats) -> Floats:
        return np.asarray(linalg.cho_solve(self._factor, right, check_finite=False))

    def _annotators_block(self) -> Floats:
        """(m, m) I + D Z' W Z D of the annotators less what prompts and clusters explain."""
        own = self._own_blocks(self._weight)
        count, r, _ = own.shape
        blocks = np.zeros((count, r, count, r))
        blocks[np.arange(count), :, np.arange(count), :] = own
        block = blocks.reshape(count * r, count * r)
        block -= _gram(self._crossed, self._prompt**2 / self._prompts)
        if self._cluster:
            block -= _gram(self._crossed_clusters(), self._cluster**2 / self._clusters)
        return block

    def _own_blocks(self, weight: Floats) -> Floats:
        """(annotators, r, r) the identity plus the weighted products of each annotator's scaled columns."""
        design, r = self._design, self._design.varying.shape[1]
        blocks = np.empty((design.annotator_count, r, r))
        for one in range(r):
            weighted = weight * self._varying[:, one]
            for other in range(one, r):
                sums = np.bincount(design.annotator, weighted * self._varying[:, other], design.annotator_count)
                blocks[:, one, other] = blocks[:, other, one] = sums
        return blocks + np.eye(r)

    def _crossed_clusters(self) -> sparse.csr_array:
        """(g, m) the crossing of clusters and annotators after the prompts are eliminated."""
        n = self._design.comparison_count
        members = sparse.csr_array(
            (1 / self._prompts, (self._design.cluster, np.arange(n))), shape=(self._design.cluster_count, n)
        )
        crossed: sparse.csr_array = (members @ self._crossed).tocsr()
        return crossed

    def _through_annotators(self) -> tuple[Floats, Floats, Floats]:
        """With S the annotators' block: (v, r) entries at each vote's annotator of S^-1 times the vote's own scaled
        columns, of the prompt's row of the crossing times S^-1, and of the cluster's row times S^-1."""
        design, r = self._design, self._design.varying.shape[1]
        lower, _ = linalg.lapack.dpotri(self._factor[0], lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        blocks = inverse.reshape(design.annotator_count, r, design.annotator_count, r)
        each = np.arange(design.annotator_count)
        own = np.einsum("vkl,vl->vk", blocks[each, :, each, :][design.annotator], self._varying)
        by_prompt = _entries(self._crossed, inverse, design.comparison, design.columns)
        if not self._cluster:
            return own, by_prompt, np.zeros_like(own)
        order = np.argsort(design.cluster[design.comparison], kind="stable")
        rows, columns = design.cluster[design.comparison][order], design.columns[order]
        by_cluster = np.empty_like(own)
        by_cluster[order] = _entries(self._crossed_clusters(), inverse, rows, columns)
        return own, by_prompt, by_cluster


def _gram(matrix: sparse.csr_array, weights: Floats) -> Floats:
    """(m, m) matrix' diag(weights) matrix; by dense products if a fifth or more of the matrix is filled."""
    if matrix.nnz * 5 > matrix.shape[0] * matrix.shape[1]:
        dense = matrix.toarray() * np.sqrt(weights)[:, np.newaxis]
        return np.asarray(dense.T @ dense)
    data = matrix.data * np.repeat(weights, np.diff(matrix.indptr))
    weighted = sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    return np.asarray((matrix.T.tocsr() @ weighted).toarray())


def _entries(matrix: sparse.csr_array, inverse: Floats, rows: np.ndarray, columns: np.ndarray) -> Floats:
    """(v, r) the entries at `rows` (v,), sorted, and `columns` (v, r) of matrix times inverse, in blocks of rows."""
    found = np.empty(columns.shape)
    at_once = max(1, _NUMBERS_AT_ONCE // len(inverse))
    for start in range(0, matrix.shape[0], at_once):
        product = matrix[start : start + at_once] @ inverse
        first, last = np.searchsorted(rows, [start, start + at_once])
        found[first:last] = product[rows[first:last, np.newaxis] - start, columns[first:last]]
    return found
