"""Staff accounts: made by an admin, never by a visitor."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignupAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Nobody signs up from the web."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Always closed."""
        return False
