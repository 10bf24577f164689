"""The uncertainty of any metric of a set from N images: by the jackknife over seeds, and by smaller sets.

A mean over pairs has quicker formulas in `seed_noise` and `image_count`; these take any function of a set's matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scoring.statistics.agreement.agreement import Signs, checked_winners, metric_winners
from scoring.statistics.scores.seed_noise import CLEAR, FEWEST_COMPARISONS, fresh_seeds
from scoring.statistics.votes.counts import Floats

SetScore = Callable[[Floats], float]  # of the (k, k) matrix of a set of k images
FEWEST_SEEDS = 4  # without one of three, two images are left, which have one pair


@dataclass(frozen=True, slots=True)
class SetNoise:
    """A metric's winners under a fresh draw of as many seeds.

    doubtful: comparisons in which it would name the other model with a chance above CLEAR. other_winners: the mean
    chance. Both are None if `reason` says why.
    """

    doubtful: int | None
    other_winners: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WithFewer:
    """The results with subsets of `images` images, as means over subsets.

    agreement: with people. same_winner: the share of winners that are those of all images. margin_error: the root mean
    square of the change of a margin that the missing images cause, in the metric's unit.
    """

    images: int
    agreement: float
    same_winner: float
    margin_error: float


def set_noise(score: SetScore, a: ArrayLike, b: ArrayLike, *, is_lower: bool) -> SetNoise:
    """Leave each seed out in turn, from both sets, and shrink the chances over comparisons as `fresh_seeds` does.

    a, b: (m, N, N) matrices, row i of both from the same seed. is_lower: whether a lower score is more consistent.

    >>> mean = lambda matrix: float(matrix[np.triu_indices(len(matrix), 1)].mean())
    >>> alike, apart = np.full((3, 5, 5), 0.9), np.full((3, 5, 5), 0.2)
    >>> set_noise(mean, alike, apart, is_lower=False)
    SetNoise(doubtful=0, other_winners=0.0, reason='')
    """
    of_a, of_b = _matrices(a, b)
    m, n = len(of_a), of_a.shape[1]
    if m < FEWEST_COMPARISONS:
        return SetNoise(None, None, f"fewer than {FEWEST_COMPARISONS} comparisons with images")
    if n < FEWEST_SEEDS:
        return SetNoise(None, None, f"fewer than {FEWEST_SEEDS} images in a set")
    everything = np.arange(n)
    without = [np.delete(everything, seed) for seed in range(n)]
    margins = _margins(score, of_a, of_b, [everything], is_lower)[0]
    errors = np.sqrt((n - 1) * _margins(score, of_a, of_b, without, is_lower).var(axis=0))
    chances = fresh_seeds(margins, errors, seeds=n).other_winner
    return SetNoise(int((chances > CLEAR).sum()), float(chances.mean()))


def with_fewer_images(
    score: SetScore,
    people: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    sizes: Sequence[int],
    subsets: int,
    seed: int,
    is_lower: bool,
) -> tuple[WithFewer, ...]:
    """Draw subsets of the seeds without replacement, the same for both models and all comparisons.

    people: (m,) signs; the rest as in `set_noise`. A copy of an image would count as perfectly consistent, so none is
    drawn twice. Raises ValueError for arrays that do not fit, and for a size below 2 or above N.

    >>> mean = lambda matrix: float(matrix[np.triu_indices(len(matrix), 1)].mean())
    >>> alike, apart = np.full((2, 4, 4), 0.5), np.full((2, 4, 4), 0.25)
    >>> with_fewer_images(mean, [1, -1], alike, apart, sizes=[2], subsets=3, seed=1, is_lower=False)
    (WithFewer(images=2, agreement=0.5, same_winner=1.0, margin_error=0.0),)
    """
    of_a, of_b = _matrices(a, b)
    theirs, _ = checked_winners(people, people)
    n = of_a.shape[1]
    if len(theirs) != len(of_a) or not all(2 <= size <= n for size in sizes):
        raise ValueError(f"{len(theirs)} winners, {len(of_a)} comparisons and subsets of {list(sizes)} of {n} images")
    whole = _margins(score, of_a, of_b, [np.arange(n)], is_lower)[0]
    rng, rows = np.random.default_rng(seed), []
    for size in sizes:
        drawn = [np.sort(rng.permutation(n)[:size]) for _ in range(1 if size == n else subsets)]
        margins = _margins(score, of_a, of_b, drawn, is_lower)
        winners = _signs(margins)
        rows.append(
            WithFewer(
                size,
                float((winners == theirs).mean()),
                float((winners == _signs(whole)).mean()),
                float(np.sqrt(((margins - whole) ** 2).mean())),
            )
        )
    return tuple(rows)


def _matrices(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    of_a, of_b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if of_a.ndim != 3 or of_a.shape != of_b.shape or of_a.shape[1] != of_a.shape[2]:
        raise ValueError(f"sets of A and B have square matrices of one size, not {of_a.shape} and {of_b.shape}")
    return of_a, of_b


def _margins(score: SetScore, a: Floats, b: Floats, parts: Sequence[np.ndarray], is_lower: bool) -> Floats:
    """Return (parts, m) margins of the sets that consist of these images, positive if the metric names A."""
    found = np.array(
        [
            [score(of_a[np.ix_(part, part)]) - score(of_b[np.ix_(part, part)]) for of_a, of_b in zip(a, b, strict=True)]
            for part in parts
        ]
    )
    return -found if is_lower else found


def _signs(margins: Floats) -> Signs:
    return metric_winners(margins.ravel()).reshape(margins.shape)
