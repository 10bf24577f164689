"""Accounts of the staff: an admin creates them, visitors cannot sign up."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from annotation.web.access.rate_limit import visitor_address


class ClosedSignupAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Refuses sign-up from the web."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address by which all tries are counted. (allauth's own method raises for a short header.)"""
        return visitor_address(request)
