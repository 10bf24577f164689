"""Accounts of the staff: an admin creates them, visitors cannot sign up, and each login stands in the audit."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from celery import current_app
from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest

from annotation.studies.audit import record
from annotation.web.access.rate_limit import visitor_address
from jobs import messages

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

    def add_message(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Add a message, but not about a new password chosen by a link: the page that follows says the same."""
        if request.resolver_match is None or request.resolver_match.url_name != "account_reset_password_from_key":
            super().add_message(request, *args, **kwargs)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address by which all tries are counted. (allauth's own method raises for a short header.)"""
        return visitor_address(request)


class PasswordLinkForm(forms.Form):
    """The e-mail address of an account whose password is forgotten.

    A worker looks the address up and sends the mail. So the page answers the same, after the same work, whether an
    account has the address or not, and it does not wait for the mail server.
    """

    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "email"}))

    def save(self, request: HttpRequest) -> None:
        """Ask a worker for the mail. (allauth's view calls this.)"""
        site = settings.SITE_URL.rstrip("/") or request.build_absolute_uri("/").rstrip("/")
        arguments = (self.cleaned_data["email"], site)
        # A mail that no worker sent within an hour would surprise; the link itself is made when it is sent.
        messages.send(current_app.signature("annotation.tasks.mail_password_links", args=arguments, expires=3600))
