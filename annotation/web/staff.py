"""The door of the researcher's pages: staff may look, and whoever may change studies may act."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import translation
from django.views.decorators.cache import never_cache

MAY_ACT = "annotation.change_study"  # as in the admin
P = ParamSpec("P")
StaffView = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def staff_only(view: StaffView[P]) -> StaffView[P]:
    """Strangers are led to the login; whoever is logged in without being staff learns nothing: not found."""

    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.is_active):
            raise Http404
        if request.method == "POST" and not request.user.has_perm(MAY_ACT):
            raise PermissionDenied("Your account may look at studies but not change them; an admin can allow it.")
        return view(request, *args, **kwargs)

    return wrapper


def staff_page(view: StaffView[P]) -> StaffView[P]:
    """A page for staff only, which no browser keeps."""

    @never_cache
    @staff_only
    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        # In English whatever the browser prefers: reports, refusals and the admin's sentences are.
        with translation.override(settings.LANGUAGE_CODE):
            response = view(request, *args, **kwargs)
            response["Content-Language"] = settings.LANGUAGE_CODE
            return response

    return wrapper
