"""A clock that stands in for the database's, so that a test can let time pass."""

from datetime import datetime, timedelta

import pytest
from django.db.models import DateTimeField, Value
from django.utils import timezone

from jobs import clock

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.get_default_timezone())


class Clock:
    """The time that every statement sees."""

    def __init__(self, time: datetime = NOON) -> None:
        self.time = time

    def now(self) -> Value:
        return Value(self.time, DateTimeField())

    def pass_by(self, **span: float) -> None:
        self.time += timedelta(**span)


@pytest.fixture
def database_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The database's clock stands at noon until the test moves it."""
    fake = Clock()
    monkeypatch.setattr(clock, "now", fake.now)
    return fake
