"""What voting needs to know of a study's manifest; pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Allocation = Literal["even", "nearly_done", "split"]


@dataclass(frozen=True, slots=True)
class VotingRules:
    """The rules of one study. Counts are per study unless named otherwise; durations are in seconds.

    `prefetch`: so many comparisons are held for each annotator beside the one on the screen. `allocation`:
    which comparisons come first, those with the fewest slots taken, those with the most, or those where the
    votes so far are closest. `stops_early`: a comparison takes no more votes once its winner is certain.
    """

    comparisons_per_annotator: int
    most_annotators: int | None = None
    are_ties_allowed: bool = False
    lease_seconds: int = 1800
    prefetch: int = 0
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    undo_seconds: int = 0
    minimum_viewing_seconds: float = 0.0
    allocation: Allocation = "even"
    stops_early: bool = False

    @property
    def needs_lead(self) -> bool:
        """Whether these rules look at the margin of the votes."""
        return self.stops_early or self.allocation == "split"
