"""The addresses that a researcher pastes: one a line, with or without a name before it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parseaddr

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from jobs.refusals import Refused
from jobs.wording import hidden_character, quoted

LONGEST_LABEL = 200


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person to invite. label: a name for the researcher, or empty."""

    address: str
    label: str = ""


def recipients_in(text: str) -> list[Recipient]:
    """Return the people of a pasted list, each address once. Raises Refused with the line of the first fault.

    >>> recipients_in("Ada <ada@lab.example>\\nGrace@lab.example")[1]
    Recipient(address='grace@lab.example', label='')
    """
    found: dict[str, Recipient] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if stripped := line.strip().rstrip(",;"):
            one = _recipient(stripped, f"addresses: line {number}")
            found.setdefault(one.address, one)
    return list(found.values())


def recipients_of(people: Iterable[tuple[str, str]]) -> list[Recipient]:
    """Return the people with these addresses and labels, each address once. Raises Refused with the first fault."""
    found: dict[str, Recipient] = {}
    for number, (address, label) in enumerate(people, start=1):
        one = _checked(address, label, f"people: number {number}")
        found.setdefault(one.address, one)
    return list(found.values())


def _recipient(line: str, place: str) -> Recipient:
    label, address = parseaddr(line)
    return _checked(address if address else line, label, place)


def _checked(address: str, label: str, place: str) -> Recipient:
    lower = address.strip().lower()
    try:
        validate_email(lower)
    except ValidationError:
        raise Refused(f"{place} is not an e-mail address: write name@example.org or Ada <name@example.org>.") from None
    if len(lower) > 254 or len(label) > LONGEST_LABEL:
        raise Refused(f"{place} is too long.")
    label = " ".join(label.split())
    if hidden_character(label):
        raise Refused(f"{place} has a name with an invisible character: {quoted(label)}.")
    return Recipient(lower, label)
