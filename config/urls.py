"""URLs: the admin, staff accounts, and everything that annotation serves."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

_django_response_action = admin.ModelAdmin.response_action


def _response_action(
    listed: "admin.ModelAdmin[Any]", request: HttpRequest, *arguments: Any, **more: Any
) -> HttpResponse | None:
    """Run an action on the chosen rows of a list of the admin; Django itself fails on ids that cannot exist."""
    try:
        for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME):
            listed.opts.pk.clean(chosen, None)
    except ValidationError:
        messages.error(request, "Nothing was done: what was chosen is no row of this list.")
        return None
    return _django_response_action(listed, request, *arguments, **more)


admin.site.site_title = admin.site.site_header = "Semblance"
admin.site.index_title = "All tables"
# The admin's own login form has no rate limit and no second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.ModelAdmin.response_action = _response_action  # type: ignore[method-assign, assignment]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("", include("annotation.web.urls")),
]
if settings.SINGLE_SIGN_ON.issuer:
    urlpatterns.insert(0, path("accounts/single-sign-on/", include("annotation.web.access.single_sign_on.views")))

handler400 = "config.failures.bad_request"
handler403 = "config.failures.permission_denied"
handler404 = "config.failures.page_not_found"
handler500 = "config.failures.server_error"
