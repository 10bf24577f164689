"""How far a report is: told to whoever waits for it."""

from collections.abc import Callable
from typing import TypeVar

Progress = Callable[[float, str], None]  # the share that is done, from 0 to 1, and what is being done
GATHERING = "reading votes and scores"  # the first step of a report and of a bundle
T = TypeVar("T")


def silent(_share: float, _step: str) -> None:
    """Nobody waits."""


class Steps:
    """A whole in so many steps, taken to be equally long; each is told before it is computed."""

    def __init__(self, progress: Progress, *, count: int) -> None:
        self._progress, self._count = progress, count
        self._done = 0
        self._name = ""

    def __call__(self, name: str, compute: Callable[[], T]) -> T:
        """What `compute` gives, as the next step."""
        self._name = name
        self.portion(0.0)
        result = compute()
        self._done += 1
        return result

    def portion(self, share: float) -> None:
        """How much of the step at hand is done, from 0 to 1."""
        self._progress(min(1.0, (self._done + share) / self._count), self._name)
