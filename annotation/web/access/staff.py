"""Access to the researcher's pages: one table says which permission each of them needs."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import translation
from django.views.decorators.cache import never_cache

LOOK = ""  # any account of the staff
CHANGE = "annotation.change_study"  # as in the admin
P = ParamSpec("P")
StaffView = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Needs(NamedTuple):
    """The permission that GET and POST of an address need; None where the address does not take the method."""

    get: str | None
    post: str | None = None


# Each address of the researcher's pages by its name. An annotator's link is her whole credential: with it one votes
# as her, or withdraws her. So links, like answers, are for accounts that may change the study.
DOORS = {
    "studies": Needs(LOOK),
    "plan": Needs(LOOK),
    "plan-curves": Needs(LOOK),
    "study": Needs(LOOK),  # its links are left out for those who may only look
    "study-file": Needs(CHANGE),  # it holds the completion codes, which a platform pays for
    "study-action": Needs(CHANGE, CHANGE),
    "make-invitations": Needs(None, CHANGE),
    "invitations-file": Needs(CHANGE),
    "answers-file": Needs(CHANGE),
    "free-annotator": Needs(None, CHANGE),
    "free-returned": Needs(None, CHANGE),
    "reported": Needs(LOOK),
    "reported-image": Needs(LOOK),
    "reported-decision": Needs(None, CHANGE),
    "report": Needs(LOOK),
    "report-progress": Needs(LOOK),
    "report-again": Needs(None, CHANGE),
    "report-figure": Needs(LOOK),
    "report-file": Needs(LOOK),
    "report-file-progress": Needs(LOOK),
    "report-file-again": Needs(None, CHANGE),
    "explorer": Needs(LOOK),
    "explored-comparison": Needs(LOOK),
    "explored-image": Needs(LOOK),
}


def staff_only(view: StaffView[P]) -> StaffView[P]:
    """Strangers are led to the login; an account outside the staff learns nothing: not found."""

    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.is_active):
            raise Http404
        needed = _needed(request)
        if needed != LOOK and not request.user.has_perm(needed):
            raise PermissionDenied("Your account may look at studies but not change them; an admin can allow it.")
        return view(request, *args, **kwargs)

    return wrapper


def _needed(request: HttpRequest) -> str:
    """The permission that this request needs: the one to change studies where the table does not say."""
    name = request.resolver_match.url_name if request.resolver_match else None
    needs = DOORS.get(name or "", Needs(None))
    needed = needs.post if request.method == "POST" else needs.get
    return CHANGE if needed is None else needed


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
