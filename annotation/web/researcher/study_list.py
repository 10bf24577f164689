"""The list of studies: those that are shared with the account, with search, filters and pages."""

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Comparison, Notice, ReportJob, Study, StudyEvent, StudyShare
from annotation.studies.lifecycle.quality_watch import alarms_of
from annotation.studies.sharing import Role, archive, visible_studies
from annotation.web.access.guard import researcher_page
from annotation.web.access.who_may import MAKES_STUDIES

PER_PAGE = 50
OWNERS = [("", "Anybody's"), ("me", "My own")]
ARCHIVED = [("", "Not archived"), ("yes", "Archived")]


class StudiesForm(forms.Form):
    """The filters of the list. A value that is not offered is ignored."""

    words = forms.CharField(label="Name", required=False, max_length=200, widget=forms.TextInput({"type": "search"}))
    state = forms.ChoiceField(label="State", required=False, choices=[("", "Every state"), *Study.State.choices])
    owner = forms.ChoiceField(label="Owner", required=False, choices=OWNERS)
    archived = forms.ChoiceField(label="Archive", required=False, choices=ARCHIVED)

    def chosen(self) -> dict[str, str]:
        """Return the valid values that choose something."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


@require_safe
@researcher_page
def studies(request: HttpRequest) -> HttpResponse:
    """Show the studies that are shared with the account, the newest first; if there are none, how to make one."""
    account = cast(User, request.user)
    form = StudiesForm(request.GET or None)
    chosen = form.chosen() if form.is_bound else {}
    visible = visible_studies(account)
    rows = _with_results(_selected(visible, account, chosen)).prefetch_related("study_models")
    page = Paginator(rows.order_by("-created_at", "-pk"), PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    alarms, notices = alarms_of(shown), _notices(shown)
    context: dict[str, Any] = {
        "form": form,
        "page": page,
        "rows": [(study, alarms[study.pk], notices.get(study.pk, [])) for study in shown],
        "is_choosing": bool(chosen),
        "has_studies": bool(shown) or visible.exists(),
        "query": f"{urlencode(chosen)}&" if chosen else "",
        "may_make": account.has_perm(MAKES_STUDIES),
    }
    return render(request, "web/researcher/studies.html", context)


def _notices(studies: Sequence[Study]) -> dict[int, list[str]]:
    """Return what needs attention in each study, by its id; the list has the alarms themselves."""
    found: dict[int, list[str]] = {}
    going_on = Notice.objects.filter(study__in=studies, ended_at=None).exclude(kind=Notice.Kind.ALARM)
    for study_id, words in going_on.order_by("pk").values_list("study_id", "words"):
        found.setdefault(study_id, []).append(words)
    return found


def _with_results(studies: QuerySet[Study]) -> QuerySet[Study]:
    """Add what each closed study's latest report found, and the votes that it rests on; else None.

    Not after a file was imported or taken back: other scores or votes may be as many as those before.
    """
    of_file = Q(verb__endswith=" imported") | Q(verb__endswith=" taken back")
    since = StudyEvent.objects.filter(of_file, study=OuterRef("study"), happened_at__gt=OuterRef("started_at"))
    done = ReportJob.objects.filter(study=OuterRef("pk"), study__state=Study.State.CLOSED, state=ReportJob.State.DONE)
    jobs = done.filter(~Exists(since)).exclude(result="").order_by("-pk")
    return studies.annotate(result=jobs.values("result")[:1], result_votes=jobs.values("result_votes")[:1])


def _selected(rows: QuerySet[Study], account: User, chosen: dict[str, str]) -> QuerySet[Study]:
    # A subquery: grouping the studies by their comparisons would sort whole rows and lose the index of the order.
    own = Comparison.objects.filter(study=OuterRef("pk")).order_by().values("study")
    wanted = Case(When(decided_at=None, then=F("overlap")), default=F("vote_count"))
    sums = {"vote_count": Sum("vote_count"), "wanted_count": Sum(wanted)}
    rows = rows.annotate(
        **{name: Coalesce(Subquery(own.annotate(total=total).values("total")), 0) for name, total in sums.items()}
    )
    rows = rows.filter(archived_at__isnull="archived" not in chosen)
    if words := chosen.get("words"):
        rows = rows.filter(Q(name__icontains=words) | Q(slug__icontains=words))
    if state := chosen.get("state"):
        rows = rows.filter(state=state)
    if "owner" in chosen:
        shares = StudyShare.objects.filter(account=account, role=Role.OWNER)
        rows = rows.filter(pk__in=shares.values("study"))
    return rows


@require_POST
@researcher_page
def study_archive(request: HttpRequest, slug: str) -> HttpResponse:
    """Leave the study out of the list, or list it again."""
    study = get_object_or_404(Study, slug=slug)
    archive(study=study, is_archived=study.archived_at is None, actor=cast(User, request.user))
    done = "is archived: the list shows it under Archived" if study.archived_at else "is listed again"
    messages.success(request, f"{study} {done}.")
    return redirect("sharing", slug)


urlpatterns: list[URLPattern] = [
    path("studies/", studies, name="studies"),
    path("studies/<slug:slug>/archive/", study_archive, name="study-archive"),
]
