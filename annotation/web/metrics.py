"""/metrics: what the workers and the studies do, for admins and for a program with the token METRICS_TOKEN."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from annotation.web.access.guard import researcher_page


@require_safe
@researcher_page
def metrics(_request: HttpRequest) -> HttpResponse:
    """Serve the metrics. The guard has checked the account or the token."""
    from annotation.web.metric_families import CONTENT_TYPE, metrics_text  # imported by those who ask for metrics only

    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE)
