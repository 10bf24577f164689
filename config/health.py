"""/healthz: report whether this web process serves and its database answers."""

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin


class HealthMiddleware(MiddlewareMixin):
    """Answers /healthz before all other middleware: a health check has no host name, no TLS and no session."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Return 200 `ok`, or 503 with the fault in two words: the details are in the log. None for other addresses."""
        if request.path != "/healthz":
            return None
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            return HttpResponse("no database", status=503, content_type="text/plain")
        return HttpResponse("ok", content_type="text/plain")
