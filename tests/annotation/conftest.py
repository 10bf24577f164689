"""The fake worker of reports, and who looks at the pages: a researcher and an outsider."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_researcher
from tests.report_worker import report_worker

__all__ = ["report_worker"]


@pytest.fixture
def researcher(client: Client) -> Client:
    """The test's own client, logged in as staff who may change studies."""
    client.force_login(make_researcher())
    return client


@pytest.fixture
def outsider() -> Client:
    """A client logged in to an account without any permission."""
    client = Client()
    client.force_login(User.objects.create_user("outsider"))
    return client
