"""Find the account that a person, vouched for by the issuer, logs in to.

The first login binds an account to the issuer's identifier of the person (`sub`). For it, the issuer must have verified
an e-mail address that exactly one account has; later logins do not read the address. An admin logs in with a password:
a mailbox at another party is too weak a proof for the whole installation.
"""

import re
from collections.abc import Mapping
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from annotation.studies.audit import record
from annotation.studies.installation.accounts import create_account, with_email
from annotation.studies.sharing import is_researcher
from annotation.web.access.single_sign_on.claims import is_verified_email
from jobs.refusals import Refused

UNVERIFIED = "{issuer} has not verified your e-mail address, so we cannot tell which account is yours."
ELSEWHERE = "Addresses of your e-mail domain may not log in here."
UNKNOWN = "No account here has your e-mail address. Ask an admin to create one, or to enter this address in yours."
SEVERAL = "Several accounts here have your e-mail address. Ask an admin to leave it in one of them only."
ADMIN = "Admins log in with their password and their second factor."
CLOSED = "Your account is deactivated, or it is not a researcher's account. Ask an admin."


_NO_NAME = re.compile(r"[^\w.@+-]")  # what the name of an account does not hold


class SignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Decides about each login, and answers each failure with one page of ours."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Bind a login to its account, or refuse it with a sentence. Nobody signs up by allauth's own forms."""
        try:
            if not sociallogin.is_existing:
                _bind(request, sociallogin)
            refuse_account(sociallogin.user, sociallogin.claims)
        except Refused as refusal:
            record("login refused", by="single sign-on")
            raise ImmediateHttpResponse(failure(request, str(refusal))) from None

    def on_authentication_error(self, request: HttpRequest, *_args: Any, **_options: Any) -> None:
        """Answer a login that was cancelled, whose state is unknown, or whose issuer answers something else."""
        sentence = "The login was cancelled, took too long, or began in another browser."
        raise ImmediateHttpResponse(failure(request, sentence))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Return False."""
        return False


def _bind(request: HttpRequest, login: SocialLogin) -> None:
    """Bind the issuer's name of the person to their account, or find that another login of theirs just did."""
    account = _account(login.claims)
    try:
        with transaction.atomic():
            login.connect(request, account)
    except IntegrityError:  # two tabs of one person came back from the issuer at once
        login.account = SocialAccount.objects.get(provider=login.account.provider, uid=login.account.uid)
        login.user = login.account.user


def failure(request: HttpRequest, sentence: str, status: int = 403) -> HttpResponse:
    """Return the page of a login that did not succeed."""
    return render(request, "web/single_sign_on_failed.html", {"sentence": sentence}, status=status)


def refuse_account(user: User, claims: Mapping[str, Any]) -> None:
    """Raise Refused if the account may not log in this way, also if it could before."""
    if user.is_superuser:
        raise Refused(ADMIN)
    if not is_researcher(user):
        raise Refused(CLOSED)
    _refuse_domain(str(claims.get("email", "")))


def _refuse_domain(email: str) -> None:
    allowed = settings.SINGLE_SIGN_ON.domains
    if allowed and email.rpartition("@")[2].casefold() not in allowed:
        raise Refused(ELSEWHERE)


def _account(claims: Mapping[str, Any]) -> User:
    """Return the account with the person's verified e-mail, made if accounts may be made at the first login."""
    if not is_verified_email(claims):
        raise Refused(UNVERIFIED.format(issuer=settings.SINGLE_SIGN_ON.name))
    email = str(claims["email"])
    _refuse_domain(email)
    found = with_email(email) or [_made(email)]
    if len(found) > 1:
        raise Refused(SEVERAL)
    refuse_account(found[0], claims)
    return found[0]


def _made(email: str) -> User:
    """Return a new account for an e-mail, or the one that another login of the same person made meanwhile."""
    if not settings.SINGLE_SIGN_ON.creates_accounts:
        raise Refused(UNKNOWN)
    try:
        return create_account(name=_NO_NAME.sub("", email), email=email, kind="researcher", actor=None)
    except Refused:
        meanwhile = with_email(email)
        if not meanwhile:
            raise
        return meanwhile[0]
