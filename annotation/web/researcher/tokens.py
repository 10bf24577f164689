"""The page of an account's API tokens: create, list with their last use, revoke."""

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from annotation.models import ApiToken
from annotation.studies.tokens import MOST_DAYS, Scope, create_token, revoke_token
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.refused_fields import add_refusal
from jobs.refusals import Refused


class TokenForm(forms.Form):
    """The name, the scopes and the days of a new token."""

    name = forms.CharField(label="Name", max_length=100, help_text="For you: which script uses it, and where.")
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=Scope.choices, initial=["read"], widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(label="Days until it ends", min_value=1, max_value=MOST_DAYS, initial=90)


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def tokens(request: HttpRequest) -> HttpResponse:
    """Show the account's tokens; by POST, create one (shown once) or revoke one."""
    account = cast(User, request.user)
    if request.method == "POST" and "revoke" in request.POST:
        return _revoked(request, account)
    form, secret = TokenForm(request.POST or None), ""
    if form.is_valid():
        try:
            _, secret = create_token(account=account, **form.cleaned_data)
        except Refused as refusal:
            add_refusal(form, str(refusal))
        else:
            form = TokenForm()
    now = timezone.now()
    rows = ApiToken.objects.filter(account=account, revoked_at=None)
    status = 400 if form.is_bound else 200
    context = {"form": form, "secret": secret, "tokens": [(one, one.expires_at <= now) for one in rows]}
    return render(request, "web/researcher/tokens.html", context, status=status)


def _revoked(request: HttpRequest, account: User) -> HttpResponse:
    named = request.POST["revoke"][:18]
    try:
        revoke_token(account=account, token_id=int(named) if named.isascii() and named.isdecimal() else 0)
        messages.success(request, "The token is revoked: it opens nothing from now on.")
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("tokens")


urlpatterns: list[URLPattern] = [path("tokens/", tokens, name="tokens")]
