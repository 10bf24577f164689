"""The exceptions by which work ends a job other than by a fault of the program."""

from datetime import timedelta


class Refused(Exception):  # noqa: N818 - it names what happened, not a fault of the program
    """A request cannot be carried out. The message is one sentence: what is wrong, where, and the way out.

    Actions raise it (or a subclass); commands, the admin, the pages and the API show its text and nothing else.
    """


class SetBack(Exception):  # noqa: N818 - it names what happened
    """A job cannot be done now, or not by this process: it is queued again and waits for `pause`.

    is_counted: whether it was an attempt; after MOST_ATTEMPTS a job fails. ends_process: this process cannot go on
    (its device is in a broken state), so it ends as soon as the job is queued again, and its supervisor starts another.
    """

    def __init__(self, sentence: str, *, pause: timedelta, is_counted: bool = True, ends_process: bool = False) -> None:
        super().__init__(sentence)
        self.pause = pause
        self.is_counted = is_counted
        self.ends_process = ends_process


class Broken(Refused):
    """A job failed for good and left this process in a state in which it cannot go on: the process ends too."""
