"""How the intervals of each estimate did, over the simulated studies of one design."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from scoring.statistics.inference.estimate import Estimate

SEED = 20240412
LEAST_INTERVALS = 50  # fewer intervals of one estimate say nothing about their coverage
THESE = "these annotators"


@dataclass
class Score:
    """How the intervals of one estimate did: studies with an interval, those that held the truth, misses by side.

    width, squares: sums of the widths and of the squared errors of the estimates.
    """

    population: str = ""
    method: str = ""
    studies: int = 0
    held: int = 0
    above: int = 0
    width: float = 0.0
    squares: float = 0.0
    missing: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: "Score") -> None:
        """Add the studies of another batch."""
        self.population, self.method = self.population or other.population, self.method or other.method
        self.studies, self.held = self.studies + other.studies, self.held + other.held
        self.above, self.width = self.above + other.above, self.width + other.width
        self.squares += other.squares
        for reason, count in other.missing.items():
            self.missing[reason] += count

    @property
    def coverage(self) -> float:
        """The share of intervals that held the truth."""
        return self.held / self.studies

    @property
    def excess(self) -> float:
        """The mean width divided by that of a normal interval of 95 % whose standard error is the estimates' own."""
        return self.width / self.studies / (2 * 1.96 * math.sqrt(self.squares / self.studies))

    @property
    def verdict(self) -> str:
        """Whether it holds, is narrower than it says, or wider."""
        if self.studies < LEAST_INTERVALS:
            return "holds"
        error = 2 * math.sqrt(0.95 * 0.05 / self.studies)
        least, most = (0.95, 1.0) if "Clopper" in self.method else (0.93, 0.97)
        if self.coverage < least - error:
            return "narrow"
        return "wide" if self.coverage > most + error else "holds"


Scores = dict[str, Score]


def add(scores: Scores, name: str, estimate: Estimate, truth: float) -> None:
    """Score the interval of one study's estimate against its truth, or count why it has none."""
    score = scores.setdefault(name, Score(estimate.population))
    if estimate.low is None or estimate.high is None:
        score.missing[estimate.reason or "undefined"] += 1
        return
    score.method = score.method or estimate.method
    score.squares += ((estimate.value or 0.0) - truth) ** 2
    score.studies, score.width = score.studies + 1, score.width + estimate.high - estimate.low
    score.held, score.above = (
        score.held + (estimate.low <= truth <= estimate.high),
        score.above + (truth > estimate.high),
    )
