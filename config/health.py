"""/healthz: report whether this web process serves and its database answers."""

from collections.abc import Callable

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse


class HealthMiddleware:
    """Answers /healthz before all other middleware: a health check has no host name, no TLS and no session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return 200 `ok`, or 503 with the fault in two words: the details are in the log."""
        if request.path != "/healthz":
            return self.get_response(request)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            return HttpResponse("no database", status=503, content_type="text/plain")
        return HttpResponse("ok", content_type="text/plain")
