"""The guard: refuses each request that the table `who_may` does not allow, before its view runs."""

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.cache import never_cache

from annotation.studies.sharing import Account, Role, is_at_least, is_researcher, role_in
from annotation.studies.tokens import token_of
from annotation.web.access.rate_limit import is_allowed
from annotation.web.access.who_may import (
    LIMITED,
    MAKES_STUDIES,
    MOST_A_MINUTE,
    OF_A_STUDY,
    OPERATIONS,
    PARTS,
    Who,
    needed,
    scope,
)
from annotation.web.problems import error_response

MOST_WRONG_TOKENS = 60  # a minute, from one address
UNKNOWN = "Send a token in force: Authorization: Bearer sem_… The page API tokens of your account makes one."
TOO_MANY = "Too many requests without a token in force from this address; wait a minute."
TOO_OFTEN = f"An account may do this {MOST_A_MINUTE} times a minute. Wait a minute and try again."

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
ROLES = {Who.VIEWER: Role.VIEWER, Who.EDITOR: Role.EDITOR, Who.OWNER: Role.OWNER}
NEITHER = {
    Who.EDITOR: "Nothing was changed: you may look at this study, and its owner can make you an editor.",
    Who.OWNER: "Nothing was changed: this is for an owner of the study, or an admin.",
    Who.MAKER: "Your account may not make studies; an admin can change it to “Researcher who makes studies”.",
    Who.ADMIN: "This is for an admin of the installation.",
}


class GuardMiddleware(MiddlewareMixin):
    """Asks the table about every request whose address is known."""

    def process_view(
        self, request: HttpRequest, _view: Any, _args: Any, kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Return None if the visitor may; else redirect to the login, or raise Http404 or PermissionDenied."""
        match = request.resolver_match
        if match is None or match.route.startswith(tuple(PARTS)):
            return None
        who = needed(match.view_name, request.method or "")
        if who == Who.ANYONE or (match.view_name == "metrics" and _has_metrics_token(request)):
            return None
        if match.view_name in OPERATIONS:
            return _refused_by_api(request, match.view_name, who, kwargs.get("slug", ""))
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        refuse(request, request.user, who, kwargs.get("slug", ""))
        if not _is_within_limits(request, match.view_name):
            response = render(request, "429.html", {"is_of_account": True}, status=429)
            response["Retry-After"] = "60"
            return response
        return None


def _is_within_limits(request: HttpRequest, name: str) -> bool:
    """Count a request of an account that is limited, and return whether it may go on."""
    if (name, request.method) not in LIMITED:
        return True
    return is_allowed(request, action=name, most=MOST_A_MINUTE, seconds=60, account=request.user.pk)


def _refused_by_api(request: HttpRequest, name: str, who: Who, slug: str) -> HttpResponseBase | None:
    """Return None if the request has a token that may; else a problem document. The session's cookie counts nothing."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = token_of(secret.strip(), now=timezone.now()) if scheme == "Bearer" else None
    if token is None:
        is_counted = is_allowed(request, action="token", most=MOST_WRONG_TOKENS, seconds=60)
        return error_response(request, 401, UNKNOWN) if is_counted else error_response(request, 429, TOO_MANY)
    if scope(name, request.method or "") not in token.scopes:
        return error_response(request, 403, f"This token has not the scope {scope(name, request.method or '')}.")
    request.user = token.account
    try:
        refuse(request, token.account, who, slug)
    except Http404:
        return error_response(request, 404, "There is no such study, or it is not shared with this account.")
    except PermissionDenied as denied:
        return error_response(request, 403, str(denied))
    return None if _is_within_limits(request, name) else error_response(request, 429, TOO_OFTEN)


def _has_metrics_token(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = str(settings.METRICS_TOKEN)
    is_bearer = scheme == "Bearer" and bool(token)
    return is_bearer and secrets.compare_digest(given.strip().encode(), token.encode())


def refuse(request: HttpRequest, account: Account, who: Who, slug: str) -> None:
    """Raise Http404 or PermissionDenied unless the account may; note its role in the study for the view.

    An account without a share gets the answer of an address that does not exist, so that no slug is confirmed.
    """
    if not is_researcher(account):
        raise Http404
    if who in OF_A_STUDY:
        role = role_in(account, slug)
        if role is None:
            raise Http404
        request.study_role = role  # type: ignore[attr-defined]
        may = is_at_least(role, ROLES[who])
    else:
        may = account.is_superuser or who == Who.RESEARCHER
        may = may or (who == Who.MAKER and account.has_perm(MAKES_STUDIES))
    if not may:
        raise PermissionDenied(NEITHER[who])


def may(request: HttpRequest, role: Role) -> bool:
    """Return whether the visitor of a study's page has at least this role in the study."""
    return is_at_least(getattr(request, "study_role", None), role)


def roles(request: HttpRequest) -> dict[str, bool]:
    """Return what the templates of a study's pages ask about the visitor. (A context processor.)"""
    return {"may_change": may(request, Role.EDITOR), "may_share": may(request, Role.OWNER)}


def ways_in(_request: HttpRequest) -> dict[str, str]:
    """Return the name of the issuer of logins, for the login page; empty if there is none. (A context processor.)"""
    return {"single_sign_on": settings.SINGLE_SIGN_ON.name}


def researcher_page(view: View[P]) -> View[P]:
    """Forbid caches to keep the page, and show it in English: reports and refusals exist in English only."""

    @never_cache
    @wraps(view)
    def wrapper(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        with translation.override(settings.LANGUAGE_CODE):
            response = view(request, *args, **kwargs)
            response["Content-Language"] = settings.LANGUAGE_CODE
            return response

    return wrapper
