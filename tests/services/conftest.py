"""Everything in this folder runs on the real PostgreSQL and Redis of `python -m tests.services`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.servers import fresh_broker, fresh_database

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.services)


@pytest.fixture
def fresh_database_url() -> Iterator[str]:
    """The address of an empty PostgreSQL database for child processes of one test."""
    with fresh_database() as url:
        yield url


@pytest.fixture
def fresh_broker_url() -> Iterator[str]:
    """The address of an empty Redis database for child processes of one test."""
    with fresh_broker() as url:
        yield url
