"""A part of very many votes, drawn at random, from which variances are estimated in bounded time."""

import numpy as np

from scoring.statistics.people.crossed_model.design import Design

MOST_VOTES, MOST_COMPARISONS, MOST_ANNOTATORS = 50_000, 10_000, 300
DRAWN_VOTES, DRAWN_ANNOTATORS = 25_000, 150


def drawn(design: Design, seed: int) -> Design:
    """Return the design, or if it is too large the votes of some annotators on some comparisons, drawn with a seed.

    Up to 50,000 votes only annotators are drawn, whose effects are the size of the matrices, if there are more than
    300. Of more votes the draw has at most 150 annotators, and then as many comparisons, at most 10,000, as have 25,000
    votes of theirs. Whom and what to draw does not depend on the votes, so that the estimates stay valid.

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
