"""The arrays that a crossed model is fitted to."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from scoring.statistics.inference.intervals import Floats
from scoring.statistics.votes.counts import Integers, numbered


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
        """How many clusters there are."""
        return int(self.cluster.max()) + 1

    @cached_property
    def annotator_count(self) -> int:
        """How many annotators voted."""
        return int(self.annotator.max()) + 1

    @property
    def fixed_count(self) -> int:
        """Thresholds and fixed effects: parameters that are no standard deviation."""
        return int(self.threshold_count + self.fixed.shape[1])

    @property
    def scale_count(self) -> int:
        """Standard deviations: of prompts, of clusters, and of each effect that varies over annotators."""
        return int(2 + self.varying.shape[1])

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
