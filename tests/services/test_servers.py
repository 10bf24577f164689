"""The service tests really run on PostgreSQL and Redis."""

import psycopg
import pytest
import redis
from django.db import connection

from tests.services.servers import OURS, fresh_broker


@pytest.mark.django_db
def test_django_stands_on_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        assert cursor.fetchone()[0].startswith("PostgreSQL")


def test_a_test_gets_a_database_and_a_broker_of_its_own(fresh_database_url: str, fresh_broker_url: str) -> None:
    with psycopg.connect(fresh_database_url) as private:
        tables = private.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)
    with redis.Redis.from_url(fresh_broker_url) as client:
        assert client.keys() == [OURS.encode()]
    with fresh_broker() as another:
        assert another != fresh_broker_url
