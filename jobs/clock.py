"""The database's clock, which all hosts share. Leases and pauses are set and compared by it, not by a host's clock."""

from datetime import timedelta

from django.db.models.expressions import Combinable
from django.db.models.functions import Now


def now() -> Combinable:
    """Return the time of the statement that it becomes a part of."""
    return Now()


def in_future(span: timedelta) -> Combinable:
    """Return the time after that span."""
    return now() + span


def ago(span: timedelta) -> Combinable:
    """Return the time before that span."""
    return now() - span
