"""Progress of a report, shown to the person who waits for it."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

Progress = Callable[[float, str], None]  # the share that is done, from 0 to 1, and the current step
GATHERING = "reading votes and scores"  # the first step of a report and of a bundle
T = TypeVar("T")
P = ParamSpec("P")


def silent(_share: float, _step: str) -> None:
    """Show nothing."""


class Steps:
    """Steps that are assumed to take equally long; each is shown before it is computed."""

    def __init__(self, progress: Progress, *, count: int) -> None:
        self._progress, self._count = progress, count
        self._done = 0
        self._name = ""

    def __call__(self, name: str, compute: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `compute` returns, as the next step."""
        self._name = name
        self.portion(0.0)
        result = compute(*args, **kwargs)
        self._done += 1
        return result

    def portion(self, share: float) -> None:
        """Show how much of the current step is done, from 0 to 1."""
        self._progress(min(1.0, (self._done + share) / self._count), self._name)
