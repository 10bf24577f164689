"""A WSGI application for the tests of the server: it echoes the request, or sends as many bytes as requested."""

from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [("Content-Length", str(24 * 2**20))])
        return (b"x" * 2**16 for _ in range(24 * 2**4))
    if environ["PATH_INFO"] == "/unread":
        start_response("403 Forbidden", [("Content-Length", "0")])
        return []
    body = environ["wsgi.input"].read()
    answer = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)} {sum(body)}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
