"""The one exception whose message is shown to people."""


class Refused(Exception):  # noqa: N818 - it names what happened, not a fault of the program
    """A request cannot be carried out. The message is one sentence: what is wrong, where, and the way out.

    Actions raise it (or a subclass); commands, the admin, the pages and the API show its text and nothing else.
    """
