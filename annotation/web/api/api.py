"""The JSON API at /api/v1/: its OpenAPI document, and what it answers to a fault. `web.urls` adds the operations."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from annotation.studies.study_file.reading import StudyFileFault
from annotation.voting.casting import BallotInvalid
from annotation.web.problems import error_response, with_problem_documents
from generation.tables.json_text import parse_json
from jobs.refusals import Refused

MOST_FAULTS_SAID, LONGEST_NAME_SAID = 5, 60
NOTHING_HERE = "There is nothing at this address: openapi.json lists all of them."


class _Parser(Parser):
    """Refuses an object that holds a key twice: of two choices in one vote, the last would count in silence."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """The document that was sent."""
        document: dict[str, Any] = parse_json(request.body)
        return document


class _Api(NinjaAPI):
    """The API, whose OpenAPI document also says what `problems` and the guard do."""

    def get_openapi_schema(self, **_options: Any) -> OpenAPISchema:
        """Return the OpenAPI document."""
        return self._document

    @cached_property
    def _document(self) -> OpenAPISchema:
        """The document, made once in each process: it takes 140 ms of a core, and anybody may ask for it."""
        document = super().get_openapi_schema()
        with_problem_documents(document)
        return document


# No docs page: it would load scripts of other sites, which the content security policy forbids.
api = _Api(
    title="Semblance",
    version="1",
    docs_url=None,
    openapi_url="openapi.json",
    urls_namespace="api",
    parser=_Parser(),
)


@csrf_exempt
def without_slash(_request: HttpRequest) -> HttpResponse:
    """Answer 404 like every address that does not exist; Django would redirect, with a page for people."""
    raise Http404


@api.exception_handler(Refused)
def _refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
    if isinstance(refusal, StudyFileFault):
        errors = [{"field": one.key, "detail": one.sentence, "line": one.line} for one in refusal.faults]
        return error_response(request, 422, str(refusal), errors)
    field, is_named, _ = str(refusal).partition(": ")
    if is_named and field.isidentifier():
        return error_response(request, 422, str(refusal), [{"field": field, "detail": str(refusal), "line": 0}])
    status = 422 if isinstance(refusal, BallotInvalid) else 409
    return error_response(request, status, str(refusal))


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, missing: Http404) -> HttpResponse:
    return error_response(request, 404, str(missing) or NOTHING_HERE)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return error_response(request, error.status_code, str(error))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, invalid: ValidationError) -> HttpResponse:
    faults = [(_field(fault["loc"]), fault["msg"]) for fault in invalid.errors[:MOST_FAULTS_SAID]]
    said = "; ".join(f"{field}: {sentence}" for field, sentence in faults)
    errors = [{"field": field, "detail": sentence, "line": 0} for field, sentence in faults]
    return error_response(request, 422, f"The request is not valid: {said}.", errors)


def _field(place: Sequence[object]) -> str:
    """Return the name of a field from its place: body or query, the argument of a body, the keys."""
    keys = place[2:] if place and place[0] == "body" else place[1:]
    return ".".join(map(str, keys))[:LONGEST_NAME_SAID] or "the body"
