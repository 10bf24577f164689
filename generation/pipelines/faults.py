"""The exceptions of other libraries as a part of a sentence."""


def brief(error: Exception, *, place: str = "", shown: str = "") -> str:
    """Return the first 200 characters of the error's message on one line; a `place` in it is `shown` otherwise."""
    text = str(error).replace(place, shown) if place else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
