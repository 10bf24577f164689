"""Good and bad requests of every operation of the API: each answer is one that its OpenAPI document tells of."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from annotation.studies.tokens import Scope, create_token
from annotation.voting.annotators import invite
from tests.factories import make_researcher, make_study

pytestmark = pytest.mark.django_db

document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WSGIHandler())  # config.wsgi asks the database
# Requests are made in the tests: made when these are collected, they would cost each process of the tests 10 s.
operations = {one.ok().label: one.ok() for one in document.get_all_operations() if isinstance(one, Ok)}


@pytest.fixture(autouse=True)
def connected() -> Iterator[None]:
    """Let requests leave the test's connection open."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


# Its caller reads the files of votes and reports and does not close them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("label", operations)
def test_every_answer_is_as_the_document_says(label: str) -> None:
    operation = operations[label]
    annotator = invite(study=make_study(), label="one")
    _token, secret = create_token(account=make_researcher(), name="t", scopes=Scope.values, days=1)

    # Ten good requests and ten bad ones; Hypothesis prefers neither of two strategies.
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def answers(case: schemathesis.Case[Any]) -> None:
        case.headers["Authorization"] = f"Bearer {secret}"
        own = {"slug": "study", "token": annotator.token}
        case.path_parameters.update({name: own[name] for name in own if f"{{{name}}}" in operation.path})
        case.call_and_validate(checks=[not_a_server_error, status_code_conformance, response_schema_conformance])

    answers()
