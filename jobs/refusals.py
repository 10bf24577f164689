"""The one exception whose message is written for the person who asked."""


class Refused(Exception):  # noqa: N818 - it names what happened, not a fault of the program
    """What was asked cannot be done. The message is one sentence: what is wrong, where, and the way out.

    Verbs raise it (or a subclass); commands, the admin, the pages and the API show its text and nothing else.
    """
