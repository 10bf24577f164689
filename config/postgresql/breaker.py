"""After one failed connection, others are refused at once for a moment: a thread that waits answers nobody."""

import threading
import time


class Breaker:
    """Lets everybody try until one failed; from then on one try for each `seconds`, until one succeeds."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._guard, self._next_try_at = seconds, threading.Lock(), 0.0

    def may_try(self) -> bool:
        """Whether the caller may try now. Of several who ask after a failure, one may."""
        if not self._next_try_at:
            return True
        with self._guard:
            if time.monotonic() < self._next_try_at:
                return False
            self._next_try_at = time.monotonic() + self._seconds
            return True

    def failed(self) -> None:
        """The try failed."""
        with self._guard:
            self._next_try_at = time.monotonic() + self._seconds

    def succeeded(self) -> None:
        """The try succeeded: everybody may."""
        self._next_try_at = 0.0
