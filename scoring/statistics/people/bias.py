"""Position bias: whether annotators favour one side of the screen."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from scoring.statistics.inference.estimate import Estimate, SignificanceTest
from scoring.statistics.inference.intervals import Resampling, wilson
from scoring.statistics.inference.sign_flip import sign_flips
from scoring.statistics.votes.counts import Floats, checked_counts

_NO_ANNOTATOR = "no annotator voted both with model A and with model B on the left"


@dataclass(frozen=True, slots=True)
class PositionBias:
    """The share of votes for the left set; 0.5 means no bias.

    share: mean over annotators. An annotator's share is the mean of two shares, with model A and with model B shown
    left, so that a better model that was left more often does not look like a bias. t_test, sign_flip: test that mean
    against one half, over annotators. pooled_share, pooled_test: over all votes, as if they were independent.
    """

    share: Estimate
    t_test: SignificanceTest
    sign_flip: SignificanceTest
    pooled_share: Estimate
    pooled_test: SignificanceTest


def position_bias(left_votes: ArrayLike, side_votes: ArrayLike, *, resampling: Resampling) -> PositionBias:
    """The left share and its tests.

    left_votes, side_votes: (annotators, 2) votes for the left set, and votes for either set (tie votes left out); the
    first column counts votes with model A left, the second with model B left. An annotator who lacks votes in a column
    has no share and counts in the pooled numbers only.
    Raises ValueError if there are more left votes than votes.

    >>> result = position_bias([[6, 4], [5, 5]], [[10, 10], [10, 10]], resampling=Resampling(resamples=100))
    >>> result.share.value, result.pooled_share.value
    (0.5, 0.5)
    """
    left, both = checked_counts(left_votes, categories=2), checked_counts(side_votes, categories=2)
    if left.shape != both.shape or (left > both).any():
        raise ValueError("votes for the left set are a part of the votes for either set, annotator by annotator")
    has_share = both.all(axis=1)
    shares = (left[has_share] / both[has_share]).mean(axis=1)
    chosen, n = int(left.sum()), int(both.sum())
    return PositionBias(
        share=_mean_share(shares, resampling.level),
        t_test=_t_test(shares),
        sign_flip=_sign_flip_test(shares, resampling),
        pooled_share=wilson(chosen, n, level=resampling.level),
        pooled_test=pooled_position_test(chosen, n),
    )


def pooled_position_test(left: int, n: int) -> SignificanceTest:
    """Exact binomial test of `left` votes of n against one half; it treats votes of one annotator as independent.

    >>> round(pooled_position_test(270, 500).p_value, 4)
    0.081
    """
    method = "exact binomial against one half, assuming independent votes"
    if n == 0:
        return SignificanceTest.undefined("no votes for a side", n=0, method=method)
    return SignificanceTest(float(left), float(scipy.stats.binomtest(left, n).pvalue), n, method)


def _mean_share(shares: Floats, level: float) -> Estimate:
    method, n = "t over annotators, within 0 and 1", len(shares)
    if n == 0:
        return Estimate.undefined(_NO_ANNOTATOR, n=0, level=level, method=method)
    value, error = float(shares.mean()), _standard_error(shares)
    if not error:
        return Estimate(value, None, None, level, n, method, _why_no_error(n))
    reach = float(scipy.stats.t.ppf((1 + level) / 2, n - 1)) * error
    return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), level, n, method)


def _t_test(shares: Floats) -> SignificanceTest:
    method, n = "t-test of annotators' left shares against one half", len(shares)
    error = _standard_error(shares)
    if not error:
        return SignificanceTest.undefined(_why_no_error(n), n=n, method=method)
    t = (float(shares.mean()) - 0.5) / error
    return SignificanceTest(t, float(2 * scipy.stats.t.sf(abs(t), n - 1)), n, method)


def _sign_flip_test(shares: Floats, resampling: Resampling) -> SignificanceTest:
    method = f"sign-flip of annotators' left shares, {resampling.resamples} permutations, seed {resampling.seed}"
    departures = shares - 0.5
    if not departures.any():
        reason = "every annotator's share is exactly one half" if len(shares) else _NO_ANNOTATOR
        return SignificanceTest.undefined(reason, n=len(shares), method=method)
    observed = abs(departures.mean())
    flips = sign_flips(len(shares), resampling=resampling)
    means = np.concatenate([block @ departures for block in flips]) / len(shares)
    reached = int((np.abs(means) >= observed - 1e-12).sum())
    p_value = (1 + reached) / (1 + resampling.resamples)
    return SignificanceTest(float(departures.mean()), p_value, len(shares), method)


def _standard_error(shares: Floats) -> float:
    """The standard error; zero for fewer than two annotators or equal shares."""
    return float(shares.std(ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 and np.ptp(shares) > 0 else 0.0


def _why_no_error(n: int) -> str:
    return {0: _NO_ANNOTATOR, 1: "one annotator only"}.get(n, "all annotators have the same share")
