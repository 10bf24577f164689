"""Wait until the server has done something, with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

sleep = time.sleep  # a name of this module, so that a test can let something happen meanwhile
LONGEST_PAUSE = 30.0
T = TypeVar("T")


class NotInTime(TimeoutError):  # noqa: N818 - reads as what happened
    """The event did not happen in the time that was given. It may still happen: wait again."""


def wait_for(ask: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """Ask until the answer is not None, and return it. The pauses grow from one second to half a minute."""
    ends_at, pause = time.monotonic() + seconds, 1.0
    while (answer := ask()) is None:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise NotInTime(f"{what}: not yet, after {seconds:g} seconds. Wait again, or look at the study's page.")
        sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return answer
