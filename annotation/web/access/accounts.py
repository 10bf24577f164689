"""Staff accounts: made by an admin, never by a visitor."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from annotation.web.access import visitors


class ClosedSignupAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Nobody signs up from the web."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Always closed."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Logins are counted by the same address as everything else. (allauth's own raises for a short header.)"""
        return visitors.address(request)
