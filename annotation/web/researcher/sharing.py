"""The pages of a study's roles, of the links to its report, and of its history."""

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import Study, StudyShare
from annotation.studies.audit import as_csv, as_json, history, record
from annotation.studies.sharing import (
    Role,
    create_report_link,
    is_researcher,
    revoke_report_link,
    set_role,
)
from annotation.web.access.guard import researcher_page
from jobs.refusals import Refused

ACTS_PER_PAGE = 100
FILES = {"csv": (as_csv, "text/csv; charset=utf-8"), "json": (as_json, "application/json; charset=utf-8")}
MEANING = {
    Role.VIEWER: "sees counts, images and the report; no links, codes or answers",
    Role.EDITOR: "runs the study too: actions, invitations, the study file",
    Role.OWNER: "shares and deletes it too",
}


class ShareForm(forms.Form):
    """An account and its role; the role `none` ends the share."""

    account = forms.CharField(label="Account", max_length=150, help_text="The name with which the person logs in.")
    role = forms.ChoiceField(
        label="Role",
        choices=[*Role.choices, ("none", "No role")],
        help_text=" ".join(f"{role.label}: {MEANING[role]}." for role in Role),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def sharing(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who has which role and the links to the report; by POST, change a role."""
    study = get_object_or_404(Study, slug=slug)
    form = ShareForm(request.POST) if request.method == "POST" else ShareForm(initial={"role": Role.VIEWER})
    if not form.is_bound:
        return _page(request, study, form)
    if form.is_valid():
        try:
            sentence = _changed(request, study, form.cleaned_data["account"].strip(), form.cleaned_data["role"])
        except Refused as refusal:
            form.add_error("account", str(refusal))
        else:
            messages.success(request, sentence)
            still_may = is_owner(request, study)
            return redirect("sharing", slug) if still_may else redirect("studies")
    return _page(request, study, form, status=400)


def is_owner(request: HttpRequest, study: Study) -> bool:
    """Return whether the visitor still is an owner: owners may end their own role."""
    user = cast(User, request.user)
    own = StudyShare.objects.filter(study=study, account=user, role=Role.OWNER)
    return is_researcher(user) and (user.is_superuser or own.exists())


def _changed(request: HttpRequest, study: Study, name: str, role: str) -> str:
    set_role(study=study, name=name, role=role, actor=cast(User, request.user))
    if role == "none":
        return f"{name} has no role in this study any more."
    return f"{name} is {Role(role).label.lower()} of this study now."


def _page(request: HttpRequest, study: Study, form: ShareForm, status: int = 200) -> HttpResponse:
    links = study.report_links.filter(revoked_at=None)
    context = {
        "study": study,
        "tab": "sharing",
        "form": form,
        "shares": [(one, MEANING[Role(one.role)]) for one in study.shares.select_related("account").order_by("pk")],
        "links": [(one, request.build_absolute_uri(reverse("shared-report", args=[one.token]))) for one in links],
    }
    return render(request, "web/researcher/sharing.html", context, status=status)


@require_POST
@researcher_page
def report_links(request: HttpRequest, slug: str) -> HttpResponse:
    """Create a link to the report, or revoke the one that the form names."""
    study, actor = get_object_or_404(Study, slug=slug), cast(User, request.user)
    named = request.POST.get("revoke", "")[:18]
    link_id = int(named) if named.isascii() and named.isdecimal() else 0
    try:
        if not named:
            create_report_link(study=study, actor=actor)
            messages.success(request, "A link to the report is made: copy it below.")
        else:
            revoke_report_link(study=study, link_id=link_id, actor=actor)
            messages.success(request, "The link is revoked: it leads nowhere from now on.")
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect(f"{reverse('sharing', args=[slug])}#links")


@require_safe
@researcher_page
def study_history(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who did what and when, the latest first."""
    study = get_object_or_404(Study, slug=slug)
    page = Paginator(history(study), ACTS_PER_PAGE).get_page(request.GET.get("page"))
    versions = study.manifest_versions.select_related("created_by").order_by("-number")
    context = {"study": study, "tab": "history", "page": page, "versions": versions}
    return render(request, "web/researcher/history.html", context)


@require_safe
@researcher_page
def history_file(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Serve the whole history as csv or json. Personal fields are named in it, and none has a value."""
    study = get_object_or_404(Study, slug=slug)
    if kind not in FILES:
        raise Http404
    write, content_type = FILES[kind]
    record("history downloaded", study=study, actor=cast(User, request.user))
    response = HttpResponse(write(history(study)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{slug}-history.{kind}"'
    return response


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/sharing/", sharing, name="sharing"),
    path("studies/<slug:slug>/sharing/links/", report_links, name="report-links"),
    path("studies/<slug:slug>/history/", study_history, name="study-history"),
    path("studies/<slug:slug>/history.<slug:kind>", history_file, name="history-file"),
]
