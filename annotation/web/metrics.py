"""/metrics: what the workers and the studies do, for a program with the token METRICS_TOKEN and for staff."""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from annotation.web.access.staff import staff_page


@require_safe
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Serve the metrics to the program and to staff; other visitors get what a staff page serves them."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = settings.METRICS_TOKEN
    is_program = scheme == "Bearer" and token and secrets.compare_digest(given.strip().encode(), token.encode())
    return _served(request) if is_program else _for_staff(request)


def _served(_request: HttpRequest) -> HttpResponse:
    from annotation.web.metric_families import CONTENT_TYPE, metrics_text  # imported by those who ask for metrics only

    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE)


_for_staff = staff_page(_served)
