"""The page of the accounts: create, deactivate, change what they are, links to choose a password, tokens."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from annotation.studies.audit import record
from annotation.studies.installation.accounts import (
    KINDS,
    create_account,
    described,
    listed,
    password_path,
    set_active,
    set_kind,
)
from annotation.studies.tokens import revoke_token
from annotation.web.access.guard import researcher_page
from annotation.web.installation.numbers import number_in
from jobs.refusals import Refused

PER_PAGE = 30


class AccountForm(forms.Form):
    """A new account."""

    name = forms.CharField(label="Name", max_length=150, help_text="The name to log in with.")
    email = forms.EmailField(
        label="E-mail", required=False, help_text="For password resets, notices, and single sign-on."
    )
    kind = forms.ChoiceField(label="What it may do", choices=[(kind.name, kind.label) for kind in KINDS])


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def page(request: HttpRequest) -> HttpResponse:
    """List the accounts; by POST, create one."""
    form = AccountForm(request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        try:
            user = create_account(**values, actor=cast(User, request.user))
        except Refused as refusal:
            field, _, sentence = str(refusal).partition(": ")
            form.add_error(field, sentence[:1].upper() + sentence[1:])
        else:
            return _with_link(request, user, f"The account {user} is created.")
    return _page(request, form)


def _page(request: HttpRequest, form: AccountForm, link: dict[str, Any] | None = None) -> HttpResponse:
    words = request.GET.get("words", "").strip()[:150]
    shown = Paginator(listed(words), PER_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    rows = [
        (one, [(token, token.expires_at <= now) for token in one.tokens]) for one in described(list(shown.object_list))
    ]
    context: dict[str, Any] = {
        "tab": "accounts",
        "now": now,
        "page": shown,
        "rows": rows,
        "words": words,
        "form": form,
        "kinds": KINDS,
        "link": link,
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "web/installation/accounts.html", context, status=status)


def _with_link(request: HttpRequest, user: User, said: str) -> HttpResponse:
    """Show the page with a link with which the person chooses a password; it is not stored and ends when it is used."""
    address = request.build_absolute_uri(password_path(user))
    record("password link made", actor=cast(User, request.user), account=user.get_username())
    return _page(request, AccountForm(), {"user": user, "address": address, "said": said})


@require_POST
@researcher_page
def act(request: HttpRequest, account_id: int) -> HttpResponse:
    """Change an account: what it may do, whether it is active, its password by a link, one of its tokens."""
    user, actor = get_object_or_404(User, pk=account_id), cast(User, request.user)
    if "link" in request.POST:
        if not user.is_active:
            messages.error(request, f"{user} is deactivated: activate the account first.")
            return redirect("installation-accounts")
        return _with_link(request, user, f"Here is a link with which {user} can choose a new password.")
    try:
        messages.success(request, _changed(request, user, actor))
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("installation-accounts")


def _changed(request: HttpRequest, user: User, actor: User) -> str:
    posted = request.POST
    if "revoke" in posted:
        revoke_token(account=user, token_id=number_in(posted["revoke"]), actor=actor)
        return f"The token of {user} is revoked: it opens nothing from now on."
    if "active" in posted:
        is_active = posted["active"] == "yes"
        set_active(user=user, is_active=is_active, actor=actor)
        ended = f"{user} is deactivated: its sessions and tokens have ended."
        return f"{user} is active again." if is_active else ended
    set_kind(user=user, kind=posted.get("kind", ""), actor=actor)
    return f"{user} is changed."


urlpatterns: list[URLPattern] = [
    path("installation/accounts/", page, name="installation-accounts"),
    path("installation/accounts/<int:account_id>/", act, name="account-action"),
]
