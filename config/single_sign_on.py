"""The settings of a login by OpenID Connect, which is on if OIDC_ISSUER is set. docs/accounts.md explains them."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment

APPS = ["allauth.socialaccount", "allauth.socialaccount.providers.openid_connect"]
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """The issuer of logins and what it may decide; off if `issuer` is empty. domains: of e-mails; empty: all."""

    issuer: str = ""
    name: str = ""
    domains: tuple[str, ...] = ()
    creates_accounts: bool = False
    client_id: str = ""
    client_secret: str = ""

    @property
    def apps(self) -> list[str]:
        """The applications of Django that it needs, with their tables."""
        return APPS if self.issuer else []

    @property
    def providers(self) -> dict[str, Any]:
        """The issuer in allauth's words."""
        app = {
            "provider_id": "single-sign-on",
            "name": self.name,
            "client_id": self.client_id,
            "secret": self.client_secret,
            "settings": {"server_url": self.issuer},
        }
        return {"openid_connect": {"APPS": [app]}} if self.issuer else {}


def single_sign_on(env: Environment) -> SingleSignOn:
    """Return what the variables say. Raises ImproperlyConfigured, naming the variable."""
    issuer = env.str("OIDC_ISSUER", default="").rstrip("/")
    if not issuer:
        return SingleSignOn()
    _check(issuer)
    names = env.list("OIDC_DOMAINS", default=[])
    creates = env.bool("OIDC_CREATE_ACCOUNTS", default=False)
    if creates and not names:
        raise ImproperlyConfigured(
            "OIDC_CREATE_ACCOUNTS makes an account for everybody whom the issuer knows: name your e-mail domains in "
            "OIDC_DOMAINS."
        )
    return SingleSignOn(
        issuer=issuer,
        name=env.str("OIDC_NAME", default="single sign-on"),
        domains=tuple(name.strip().lstrip("@").casefold() for name in names),
        creates_accounts=creates,
        client_id=_needed(env, "OIDC_CLIENT_ID"),
        client_secret=_needed(env, "OIDC_CLIENT_SECRET"),
    )


def _check(issuer: str) -> None:
    try:
        address = urlsplit(issuer)
        is_local = address.hostname in LOCAL
    except ValueError:
        address, is_local = urlsplit(""), False
    if not address.hostname or not (address.scheme == "https" or (address.scheme == "http" and is_local)):
        raise ImproperlyConfigured(
            f"OIDC_ISSUER must be the address of an issuer, like https://login.example: {issuer!r}."
        )
    if not find_spec("jwt") or not find_spec("oauthlib"):
        raise ImproperlyConfigured("OIDC_ISSUER needs: pip install 'semblance[oidc]' (make install has it).")


def _needed(env: Environment, variable: str) -> str:
    value: str = env.str(variable, default="")
    if not value:
        raise ImproperlyConfigured(f"OIDC_ISSUER is set, so {variable} is needed too; the issuer gives it to a client.")
    return value
