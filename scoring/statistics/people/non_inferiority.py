"""Whether a metric agrees with people as often as one more person does, within a margin fixed in advance."""

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.single_votes import single_votes
from scoring.statistics.votes.votes import Votes

Verdict = Literal["shown", "shown worse", "undecided"]


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The metric beside a person, as judged by the votes of other people.

    difference: the metric's agreement with one vote minus another person's; each end of its interval is a one-sided
    bound at (1 + level) / 2. verdict: "shown" to fall short by less than the margin, "shown worse" if by more, else
    "undecided".
    """

    margin: float
    difference: Estimate
    verdict: Verdict


def non_inferiority(
    votes: Votes, metric: ArrayLike, *, margin: float, clusters: ArrayLike | None = None, level: float = 0.95
) -> NonInferiority:
    """Compare the difference of `single_votes` with a margin, for a new annotator on a new prompt.

    metric: (n,) signs of the metric's winner. margin: how far the metric may fall short, fixed before the votes.
    clusters: (n,) labels or None. level: of the two-sided interval, whose ends decide: a one-sided test at
    (1 - level) / 2. Without an interval (too few annotators or clusters) the verdict is "undecided".
    In 1,000 simulated studies each of a metric that falls short by just the margin, with annotators of varying skill
    and bias, "shown" came out in .02 to .05 (100 comparisons with 6, 10 and 30 annotators, and 30 with 10), nominal
    .025; "shown worse" in at most .02.
    Raises ValueError for a margin that is not between 0 and 1.
    Source: ICH E9 (1998), "Statistical principles for clinical trials", section 3.3.2, for both bounds from one
    two-sided interval.

    >>> votes = Votes.of([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0])
    >>> found = non_inferiority(votes, [1, -1], margin=0.1)
    >>> found.verdict, found.difference.reason
    ('undecided', 'only 2 annotators, and an interval for annotators like these needs 6')
    """
    if not 0 < margin < 1:
        raise ValueError("a margin lies between 0 and 1")
    difference = single_votes(votes, metric, clusters=clusters, level=level).difference
    return NonInferiority(margin, difference, _verdict(difference, margin))


def _verdict(difference: Estimate, margin: float) -> Verdict:
    if difference.low is None or difference.high is None:
        return "undecided"
    if difference.low > -margin:
        return "shown"
    return "shown worse" if difference.high < -margin else "undecided"
