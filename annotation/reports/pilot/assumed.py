"""From what a pilot saw to what a plan assumes about people; pure.

A pilot is small, so it says little about how often the metric is right: that stays an assumption of the researcher
(Kraemer et al. 2006, "Caution regarding the use of pilot studies to guide power calculations for study proposals").
What it does say is how noisy votes are, and the plan is made for both ends of that interval.
"""

import math

from annotation.studies.planning.question import Assumptions, most_flips

_NEVER_WRONG = 0.999  # a plan needs a chance below one


def person_of(pairwise_agreement: float, *, tie_share: float = 0.0) -> float | None:
    """Return the chance that a vote goes to the winner, from the chance that two votes on a comparison agree.

    Two votes agree if both are ties, t^2, or if neither is and both name one model, (1 - t)^2 (p^2 + (1 - p)^2); solved
    for p. It takes each comparison for equally clear and ties for independent. None if two votes agree no more often
    than two coins, so that no p fits.

    >>> person_of(0.745), person_of(0.4)
    (0.85, None)
    """
    if tie_share >= 1:
        return None
    decided = (pairwise_agreement - tie_share**2) / (1 - tie_share) ** 2
    if decided <= 0.5:
        return None
    return min(_NEVER_WRONG, round((1 + math.sqrt(min(1.0, 2 * decided - 1))) / 2, 6))


def possible_flips(flips: float | None, agreement: float) -> float:
    """Return the flips seen, or the usual ones, at most what a metric that agrees so often can have."""
    seen = Assumptions().flips if flips is None else flips
    return min(seen, math.floor(1e4 * most_flips(agreement)) / 1e4)
