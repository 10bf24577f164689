"""The form of the API's errors: problem documents (RFC 9457), and `{"message": …}` for an annotator's requests. Pure.

The annotator's page and scripts written for version 0.1 read `message`, which a problem document has too.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

OF_ANNOTATORS = "/api/v1/annotators/"
PROBLEM_TYPE = "application/problem+json"


def with_problem_documents(document: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document whose operations for researchers need a token and refuse with problem documents."""
    for path, operations in document["paths"].items():
        if path.startswith(OF_ANNOTATORS):
            continue
        for operation in operations.values():
            operation["security"] = [{"token": []}]
            for status, answer in operation["responses"].items():
                content = answer.get("content", {})
                if int(status) >= HTTPStatus.BAD_REQUEST and "application/json" in content:
                    content[PROBLEM_TYPE] = content.pop("application/json")
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


def error_response(
    request: HttpRequest, status: int, sentence: str, errors: Iterable[dict[str, Any]] = ()
) -> HttpResponse:
    """Return an error of the API. errors: each fault with its `field`, `detail` and `line`."""
    if request.path_info.startswith(OF_ANNOTATORS):
        return JsonResponse({"message": sentence}, status=status)
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": sentence}
    document |= {"message": sentence, "errors": list(errors)}
    response = JsonResponse(document, status=status, content_type=PROBLEM_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response
