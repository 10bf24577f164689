"""Accounts of the staff: an admin creates them, visitors cannot sign up, and each login stands in the audit."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.models import User
from django.http import HttpRequest

from annotation.studies.audit import record
from annotation.web.access.rate_limit import visitor_address

METHODS = "account_authentication_methods"  # of the session, as allauth writes them
WORDS = {"password": "password", "mfa": "second factor", "socialaccount": "single sign-on"}


class ClosedSignupAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Refuses sign-up from the web."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def login(self, request: HttpRequest, user: User) -> None:
        """Log the account in: by its password, with its second factor, or by single sign-on."""
        super().login(request, user)
        methods = [str(one.get("method", "")) for one in request.session.get(METHODS, ())]
        record("logged in", actor=user, by=[WORDS.get(one, one) for one in methods])

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Note a login that failed, by the account that it meant. What else was typed may be a password: it is not."""
        meant = User.objects.filter(username=credentials.get("username", "")).first()
        record("login failed", account=meant.get_username() if meant else "of an unknown name")

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address by which all tries are counted. (allauth's own method raises for a short header.)"""
        return visitor_address(request)
