"""Access to the researcher's pages: one table has the permission that each page needs."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import translation
from django.views.decorators.cache import never_cache

VIEW = ""  # any staff account
CHANGE = "annotation.change_study"  # as in the admin
P = ParamSpec("P")
StaffView = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Permissions(NamedTuple):
    """The permissions that GET and POST of an address need; None if the address refuses the method."""

    get: str | None
    post: str | None = None


# The permissions of each researcher's page by the name of its address. An annotator's link is their whole credential:
# with it, anyone can vote or withdraw as that annotator. So links and answers need the permission to change the study.
PERMISSIONS = {
    "metrics": Permissions(VIEW),  # or the token METRICS_TOKEN
    "studies": Permissions(VIEW),
    "plan": Permissions(VIEW),
    "plan-curves": Permissions(VIEW),
    "study": Permissions(VIEW),  # without links for accounts that may only view
    "study-file": Permissions(CHANGE),  # it contains the completion codes, for which a platform pays
    "study-action": Permissions(CHANGE, CHANGE),
    "make-invitations": Permissions(None, CHANGE),
    "invitations-file": Permissions(CHANGE),
    "answers-file": Permissions(CHANGE),
    "free-annotator": Permissions(None, CHANGE),
    "free-returned": Permissions(None, CHANGE),
    "reported": Permissions(VIEW),
    "reported-image": Permissions(VIEW),
    "reported-decision": Permissions(None, CHANGE),
    "report": Permissions(VIEW),
    "report-progress": Permissions(VIEW),
    "report-again": Permissions(None, CHANGE),
    "report-figure": Permissions(VIEW),
    "report-file": Permissions(VIEW),
    "report-file-progress": Permissions(VIEW),
    "report-file-again": Permissions(None, CHANGE),
    "explorer": Permissions(VIEW),
    "explored-comparison": Permissions(VIEW),
    "explored-image": Permissions(VIEW),
}


def staff_only(view: StaffView[P]) -> StaffView[P]:
    """Require a staff account with the permission. Visitors go to the login; other accounts get a 404."""

    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.is_active):
            raise Http404
        needed = _needed(request)
        if needed != VIEW and not request.user.has_perm(needed):
            raise PermissionDenied("Your account may look at studies but not change them; an admin can allow it.")
        return view(request, *args, **kwargs)

    return wrapper


def _needed(request: HttpRequest) -> str:
    """Return the permission that this request needs; an address that is not in the table needs CHANGE."""
    name = request.resolver_match.url_name if request.resolver_match else None
    needs = PERMISSIONS.get(name or "", Permissions(None))
    needed = needs.post if request.method == "POST" else needs.get
    return CHANGE if needed is None else needed


def staff_page(view: StaffView[P]) -> StaffView[P]:
    """Require a staff account, as `staff_only`, and forbid caches to keep the page."""

    @never_cache
    @staff_only
    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        # Always in English: the reports and refusals on these pages exist in English only.
        with translation.override(settings.LANGUAGE_CODE):
            response = view(request, *args, **kwargs)
            response["Content-Language"] = settings.LANGUAGE_CODE
            return response

    return wrapper
