"""The two addresses of a login by OpenID Connect: to the issuer, and back."""

import logging
from typing import Any

from allauth.socialaccount.providers import registry
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotation.web.access.rate_limit import is_allowed
from annotation.web.access.single_sign_on.admission import failure
from annotation.web.access.single_sign_on.provider import Issuer, IssuerAway, VerifyingAdapter

logger = logging.getLogger(__name__)
registry.load()  # which allauth's own addresses would do; they are not served
registry.register(Issuer)  # instead of allauth's own
PROVIDER = "single-sign-on"  # the name of the issuer in the settings
MOST_TRIES = 30  # in five minutes, from one address: each one asks the issuer
AWAY = "{issuer} gives no usable answer. Nothing was changed. Try again in a minute, or log in with a password."
TOO_MANY = "Too many logins from your network. Wait five minutes and try again."


class _Callback(OAuth2CallbackView):  # type: ignore[misc]  # allauth ships no types
    """allauth's view, which hands the nonce of the state to the adapter before the ID token is read."""

    def _get_state(self, request: HttpRequest, provider: Any) -> tuple[Any, Any]:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, response


def _run(request: HttpRequest, kind: type[Any]) -> HttpResponse:
    if not is_allowed(request, action="single-sign-on", most=MOST_TRIES, seconds=300):
        return failure(request, TOO_MANY, status=429)
    try:
        response: HttpResponse = kind.adapter_view(VerifyingAdapter(request, PROVIDER))(request)
    except IssuerAway as away:
        logger.warning("the issuer of OIDC_ISSUER cannot be used: %s", away)
        return failure(request, AWAY.format(issuer=settings.SINGLE_SIGN_ON.name), status=503)
    return response


class _ToIssuer(OAuth2LoginView):  # type: ignore[misc]  # allauth ships no types
    """allauth's view without its page in between. A GET begins a login, because the policy of the pages
    (form-action) would stop a form on its way to the issuer. It changes nothing but this browser's own session."""

    def dispatch(self, request: HttpRequest, *_args: Any, **_options: Any) -> Any:
        """Redirect to the issuer."""
        return self.get_provider().redirect_from_request(request)


@require_safe
@never_cache
def login(request: HttpRequest) -> HttpResponse:
    """Send the browser to the issuer."""
    return _run(request, _ToIssuer)


@require_safe
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Log the person in whom the issuer vouches for."""
    return _run(request, _Callback)


urlpatterns = [
    path("", login, name="single-sign-on"),
    path("callback/", callback, name="single-sign-on-callback"),
]
