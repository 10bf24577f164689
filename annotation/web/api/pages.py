"""Answers of the researcher's operations: one document, or one page of a list."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from annotation.web.api.study_schemas import ProblemOut
from jobs.refusals import Refused

REFUSALS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 422, 429), ProblemOut)
MOST_ROWS = 200
LARGEST_OFFSET = 10_000_000
Row = TypeVar("Row")


def gives(document: type[BaseModel] | None, status: int = 200) -> dict[int, Any]:
    """Return the answers of an operation for the OpenAPI document: this one, and every refusal."""
    return {status: document, **REFUSALS}


def answer(document: BaseModel, *, status: int = 200) -> HttpResponse:
    """Return the document as JSON. Answers about studies are kept by no cache."""
    content_type = "application/json; charset=utf-8"
    response = HttpResponse(document.model_dump_json(), status=status, content_type=content_type)
    response["Cache-Control"] = "no-store"
    return response


def page_of(rows: "QuerySet[Any, Row] | Sequence[Row]", limit: int, offset: int) -> list[Row]:
    """Return the rows of a page. Raises Refused for a limit or an offset that no page has."""
    if not 1 <= limit <= MOST_ROWS:
        raise Refused(f"limit: a page has 1 to {MOST_ROWS} rows.")
    if not 0 <= offset <= LARGEST_OFFSET:
        raise Refused(f"offset: from 0 to {LARGEST_OFFSET}.")
    return list(rows[offset : offset + limit])


def next_page(request: HttpRequest, limit: int, offset: int, count: int) -> str | None:
    """Return the address of the next page; None after the last one."""
    if offset + limit >= count:
        return None
    query = request.GET.dict() | {"limit": str(limit), "offset": str(offset + limit)}
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")
