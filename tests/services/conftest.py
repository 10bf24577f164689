"""Everything in this folder runs on the real PostgreSQL and Redis of `python -m tests.services`."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here, so that no single test needs to say it."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.services)


@pytest.fixture
def fresh_database_url() -> Iterator[str]:
    """The address of an empty PostgreSQL database for child processes of one test."""
    server, name = os.environ["TEST_DATABASE_URL"], f"semblance_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def fresh_broker_url() -> Iterator[str]:
    """A Redis for one test: a database of the given server that was empty before and is emptied after."""
    server = os.environ["TEST_BROKER_URL"]
    for number in range(15, -1, -1):
        url = f"{server.rpartition('/')[0]}/{number}"
        with redis.Redis.from_url(url) as client:
            if client.dbsize() == 0:
                yield url
                client.flushdb()  # ours alone: it was empty when this test took it
                return
    pytest.fail("Every database of the Redis at TEST_BROKER_URL holds something; these tests flush none of them.")
