"""Requests to the API: the token, repetition where it is safe, and errors as one sentence."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from semblance_client import waiting
from semblance_client.operations import OPERATIONS, Operation

TRIES = 3  # of a request that may be sent again
BUSY = (502, 503, 504)
MOST_SAID = 300  # of an answer that is no problem document


class Problem(Exception):  # noqa: N818 - named as the document that it carries
    """A request that the server refused. The text is the server's sentence; `errors` has each fault with its field.

    status: of HTTP; 0 if the server did not answer.
    """

    def __init__(self, detail: str, status: int = 0, errors: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__(detail)
        self.detail, self.status, self.errors = detail, status, errors

    def __str__(self) -> str:
        """Return the sentence, and a line for each further fault."""
        more = [_fault(one) for one in self.errors if one.get("detail", "") not in self.detail]
        return "\n".join([self.detail, *more])


def _fault(error: Mapping[str, Any]) -> str:
    line = f"line {error['line']}, " if error.get("line") else ""
    return f"  {line}{error.get('field', '')}: {error.get('detail', '')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer."""

    status: int
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON document; None for an empty answer."""
        return json.loads(self.body) if self.body else None


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: the token would go to the other address."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        """Return None, so that the redirect is an error."""


@dataclass(slots=True)
class Connection:
    """The address of an installation and a token of an account there."""

    url: str
    token: str = field(repr=False)
    timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what is not an address."""
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError(f"{self.url!r} is not the address of an installation: it begins with https:// or http://")
        self.url = self.url.rstrip("/")

    def call(
        self,
        name: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        **places: object,
    ) -> Answer:
        """Call the operation of that name. `places` fill its path. Raises Problem if it is refused.

        A request that reads, or that creates something under an Idempotency-Key, is sent again if no answer comes.
        """
        operation = OPERATIONS[name]
        _check_names(name, operation, query or {}, body or {})
        request = self._request(operation, query or {}, body, content, places)
        tries = TRIES if operation.creates or operation.repeats or operation.method == "GET" else 1
        for left in reversed(range(tries)):
            try:
                return self._send(request)
            except Problem as problem:
                if not left or problem.status not in (0, *BUSY):
                    raise
                waiting.sleep(1.0)
        raise AssertionError  # the last try returns or raises

    def _request(
        self,
        operation: Operation,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        content: bytes | None,
        places: Mapping[str, object],
    ) -> Request:
        path = operation.path.format(**{key: quote(str(value), safe="") for key, value in places.items()})
        given = {key: _in_query(value) for key, value in query.items() if value is not None}
        url = f"{self.url}/api/v1{path}" + (f"?{urlencode(given)}" if given else "")
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        data = content
        if data is not None:
            headers["Content-Type"] = "application/octet-stream"
        elif operation.method == "POST":
            data = json.dumps(dict(body or {})).encode()
            headers["Content-Type"] = "application/json"
        if operation.creates:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        return Request(url, data=data, headers=headers, method=operation.method)  # noqa: S310 - checked above

    def _send(self, request: Request) -> Answer:
        try:
            with build_opener(_NoRedirects).open(request, timeout=self.timeout) as response:
                return Answer(response.status, response.read())
        except HTTPError as error:
            with error:
                raise _problem(error.code, error.read(), self.url) from None
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise Problem(f"{self.url} does not answer: {reason}. Check the address and that it runs.") from error


def _check_names(name: str, operation: Operation, query: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Raise TypeError for a name that the operation lacks: the test against the OpenAPI document relies on it."""
    if unknown := [*set(query).difference(operation.query), *set(body).difference(operation.body)]:
        raise TypeError(f"{name} has no {', '.join(unknown)}")


def _in_query(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(status: int, body: bytes, url: str) -> Problem:
    try:
        document = json.loads(body)
        return Problem(str(document["detail"]), status, tuple(document.get("errors", ())))
    except (ValueError, KeyError, TypeError, AttributeError):
        said = body[:MOST_SAID].decode("utf-8", "replace").strip()
        if said and not said.startswith("<"):  # the web server itself, or a proxy, in plain text
            return Problem(f"{url} answered {status}: {said}", status)
        return Problem(f"{url} answered {status} without a reason: check that it is the address of Semblance.", status)
