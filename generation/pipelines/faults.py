"""The exceptions of other libraries as a part of a sentence."""


def brief(error: Exception) -> str:
    """Return the first 200 characters of the error's message on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
