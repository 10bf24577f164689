"""The page of an account's notices, and which of them come on the page and by e-mail."""

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from annotation.models import Notice
from annotation.studies.notices.reading import choose, mark_read, notices_for, settings_of, unread_count
from annotation.web.access.guard import researcher_page
from jobs.refusals import Refused

PER_PAGE = 50


class NoticesForm(forms.Form):
    """The kinds of notices that an account wants, on the page and by e-mail."""

    on_page = forms.MultipleChoiceField(
        label="On this page", choices=Notice.Kind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    by_mail = forms.MultipleChoiceField(
        label="By e-mail", choices=Notice.Kind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def notices(request: HttpRequest) -> HttpResponse:
    """Show the account's notices, the latest first; by POST, mark them as read or store the settings."""
    account = cast(User, request.user)
    if request.method == "POST" and "read" in request.POST:
        mark_read(account)
        return redirect("notices")
    if request.method != "POST":
        own = settings_of(account)
        return _page(request, NoticesForm(initial={"on_page": own.on_page, "by_mail": own.by_mail}))
    form = NoticesForm(request.POST)
    if form.is_valid():
        try:
            choose(account=account, **form.cleaned_data)
        except Refused as refusal:
            form.add_error("by_mail", str(refusal).removeprefix("by_mail: "))
        else:
            messages.success(request, "Your choice holds for all notices from now on.")
            return redirect("notices")
    return _page(request, form, status=400)


def _page(request: HttpRequest, form: NoticesForm, status: int = 200) -> HttpResponse:
    page = Paginator(notices_for(cast(User, request.user)), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "web/researcher/notices.html", {"page": page, "form": form}, status=status)


def unread_notices(request: HttpRequest) -> dict[str, Callable[[], int]]:
    """Return a function that counts the visitor's unread notices: only pages that show the count ask. (A context
    processor.)"""
    return {"unread_notices": lambda: unread_count(cast(User, request.user))}


urlpatterns: list[URLPattern] = [path("notices/", notices, name="notices")]
