"""allauth's OpenID Connect with what it leaves out: a nonce, the signature, and an issuer that is who it says it is.

allauth skips the signature of a token that came over TLS, sends no nonce, and takes scopes and parameters from the
address of a login.
"""

import secrets
from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from requests import RequestException

from annotation.web.access.single_sign_on.claims import TokenRefused, is_verified_email, verified_claims

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class IssuerAway(Exception):  # noqa: N818 - it names what happened
    """The issuer does not answer, or answers something else than its configuration, keys or claims."""


def document_at(address: str, *, bearer: str = "") -> dict[str, Any]:
    """Return a JSON document of the issuer. Raises IssuerAway."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    try:
        with get_adapter().get_requests_session() as session:
            answer = session.get(address, headers=headers, allow_redirects=False)
            answer.raise_for_status()
            document = answer.json()
    except (RequestException, ValueError) as error:
        raise IssuerAway(type(error).__name__) from None
    if not isinstance(document, dict):
        raise IssuerAway("no JSON object")
    return document


class VerifyingAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth ships no types
    """Fetches tokens, and believes only what the issuer signed for this login. nonce: of the login, from its state."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """The issuer's configuration. Raises IssuerAway if it is another issuer's, or incomplete."""
        if not hasattr(self, "_configuration"):
            found = document_at(self.get_provider().server_url)
            if str(found.get("issuer", "")).rstrip("/") != settings.SINGLE_SIGN_ON.issuer:
                raise IssuerAway("its configuration names another issuer")
            if missing := [name for name in ENDPOINTS if not isinstance(found.get(name), str)]:
                raise IssuerAway(f"its configuration lacks {missing[0]}")
            self._configuration = found
        return self._configuration

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **options: Any) -> SocialLogin:
        """Return the login of the person whom the issuer's ID token names. Raises OAuth2Error for any other answer."""
        try:
            claims = verified_claims(
                str(options["response"].get("id_token", "")),
                keys=document_at(self.openid_config["jwks_uri"]),
                issuer=self.openid_config["issuer"],
                client_id=app.client_id,
                nonce=self.nonce,
            )
        except TokenRefused as refused:
            raise OAuth2Error(str(refused)) from None
        login = self.get_provider().sociallogin_from_response(request, self._with_email(claims, token))
        login.claims = login.account.extra_data
        login.account.extra_data = {}  # nothing about the person is kept but the issuer's name of them
        return login

    def _with_email(self, claims: dict[str, Any], token: SocialToken) -> dict[str, Any]:
        """Add the e-mail from the issuer's userinfo if the ID token has none. Its `sub` must be the same (5.3.2)."""
        address = self.openid_config.get("userinfo_endpoint")
        if is_verified_email(claims) or not isinstance(address, str):
            return claims
        more = document_at(address, bearer=token.token)
        if more.get("sub") != claims["sub"]:
            raise OAuth2Error("the userinfo is another person's")
        return claims | {name: more[name] for name in ("email", "email_verified") if name in more}

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        """Return the address to which the issuer sends the browser back."""
        return request.build_absolute_uri(reverse("single-sign-on-callback"))


class Issuer(OpenIDConnectProvider):  # type: ignore[misc]  # allauth ships no types
    """The issuer of the settings."""

    oauth2_adapter_class = VerifyingAdapter

    def get_pkce_params(self) -> dict[str, Any]:
        """Return a fresh code challenge for each login (RFC 7636)."""
        return dict(generate_code_challenge())

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        """Return the parameters of a login. Only a safe `next` is read from the address."""
        nonce = secrets.token_urlsafe(24)
        return {
            "process": "login",
            "next_url": get_next_redirect_url(request),
            "scope": ["openid", "email"],
            "auth_params": {"nonce": nonce},
            "nonce": nonce,  # kept with the state in the session
        }
