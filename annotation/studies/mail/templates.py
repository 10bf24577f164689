"""The texts of mails to annotators: their places, and how they are filled. Pure."""

from string import Formatter

from jobs.refusals import Refused

PLACES = {"link": "the person's link", "study": "the study's name", "name": "the label of the person"}
LONGEST_SUBJECT, LONGEST_TEXT = 200, 10_000


def checked(subject: str, text: str) -> tuple[str, str]:
    """Return both without blanks around them. Raises Refused if one is empty, too long, or has an unknown place."""
    subject, text = " ".join(subject.split()), text.strip()
    if not 1 <= len(subject) <= LONGEST_SUBJECT:
        raise Refused(f"subject: a subject has 1 to {LONGEST_SUBJECT} letters.")
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise Refused(f"message: a message has 1 to {LONGEST_TEXT:,} letters.")
    if "link" in _places("subject", subject):
        raise Refused("subject: {link} belongs in the message: mail servers log subjects.")
    if "link" not in _places("message", text):
        raise Refused("message: {link} is missing, so nobody would get their link.")
    return subject, text


def _places(field: str, text: str) -> set[str]:
    known = ", ".join(f"{{{name}}}" for name in PLACES)
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise Refused(f"{field}: a brace has no pair. The places are {known}; write {{{{ for a brace.") from error
    found = set()
    for _before, name, form, conversion in parsed:
        if name is None:
            continue
        if name not in PLACES or form or conversion:
            raise Refused(f"{field}: there is no place {{{name}}}. The places are {known}.")
        found.add(name)
    return found


def filled(text: str, values: dict[str, str]) -> str:
    """Return a checked text with its places filled.

    >>> filled("Hello {name}", {"name": "Ada {link}"})
    'Hello Ada {link}'
    """
    return text.format(**values)
