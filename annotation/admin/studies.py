"""Studies in the admin: the list, a study with its history, and the actions on it."""

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotation.admin.forms import AmendmentForm, DropSeedForm, StudyFileForm
from annotation.admin.taking_back import ConfirmedDeletionAdmin, Removal, may_change, role_of, too_long
from annotation.models import Import, ManifestVersion, Study, StudyEvent, Vote
from annotation.reports.report_jobs.report_jobs import delete_with_reports
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle import transitions
from annotation.studies.lifecycle.actions import actions_for
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.deletion import deletion_effects, refuse_deletion
from annotation.studies.lifecycle.pipeline_jobs import seeds_without_an_image
from annotation.studies.lifecycle.quality_watch import alarms_of
from annotation.studies.sharing import Role, is_at_least
from annotation.studies.study_file.writing import write_study_file
from jobs.refusals import Refused


class _History(admin.TabularInline):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """Rows that other code appends; the admin only shows them."""

    extra = 0
    can_delete = False
    accounts: ClassVar[tuple[str, ...]] = ()  # the fields that name one

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with what they name: one query for all of them, instead of one for each."""
        return super().get_queryset(request).select_related("study", *self.accounts)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


class ManifestVersionInline(_History):
    """The versions of the manifest, whose hashes the report prints."""

    model = ManifestVersion
    fields = ("number", "sha256", "reason", "created_by", "created_at")
    accounts = ("created_by",)
    readonly_fields = ("created_at",)  # not editable, so Django wants it here


class StudyEventInline(_History):
    """The history of the study."""

    model = StudyEvent
    fields = ("happened_at", "verb", "detail", "actor")
    accounts = ("actor",)
    readonly_fields = ("happened_at",)


class _StudyList(ChangeList):
    """A page of studies, each with its `alarms`."""

    def get_results(self, request: HttpRequest) -> None:
        """Load the alarms of all studies on the page, with one query."""
        super().get_results(request)
        alarms = alarms_of(self.result_list)
        for study in self.result_list:
            study.alarms = alarms[study.pk]


class ImportInline(_History):
    """The imported files; the page of each one can take it back."""

    model = Import
    fields = ("file_name", "kind", "metric", "row_count", "state", "created_at")
    readonly_fields = ("created_at",)
    show_change_link = True


@admin.register(Study)
class StudyAdmin(ConfirmedDeletionAdmin):
    """A study is added as a study file. Afterwards only actions change it; a refused action says why."""

    list_display = ("name", "slug", "source", "state", "alarm", "created_at")
    list_filter = ("state", "source")
    search_fields = ("name", "slug")
    fields = ("name", "slug", "source", "state", "models", "overview", "manifest_sha256", "created_at")
    inlines: ClassVar = [ManifestVersionInline, ImportInline, StudyEventInline]
    change_form_template = "admin/annotation/study/page.html"
    study_lookup = "pk__in"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Follow Django's permission, which the read-only base class ignores."""
        return cast(User, request.user).has_perm("annotation.add_study")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask for an owner, and for one study at a time; `refuse_deletion` decides which study."""
        return isinstance(obj, Study) and is_at_least(role_of(request, obj), Role.OWNER)

    def removal_of(self, row: Study) -> Removal:
        """Return the page that confirms or refuses the deletion of the study."""

        def carry_out(user: User) -> str:
            delete_with_reports(study=row, actor=user)
            return f"{row} is deleted."

        refusal = ""
        try:
            refuse_deletion(row)
        except Refused as error:
            refusal = str(error)
        votes = Vote.objects.filter(assignment__comparison__study=row)
        return Removal(
            title=f"Delete {row}?",
            lead=f"Deleting {row} removes:",
            sentences=deletion_effects(row),
            button="Delete it",
            back=reverse("admin:annotation_study_change", args=[row.pk]),
            afterwards=reverse("admin:annotation_study_changelist"),
            carry_out=carry_out,
            refusal=refusal or too_long(votes, "delete_study", row.slug),
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of the actions to Django's own pages."""
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/drop-seed/", view(self.drop_seed), name="annotation_study_drop_seed"),
            path("<int:pk>/amend/", view(self.amend), name="annotation_study_amend"),
            *super().get_urls(),
        ]

    @admin.display(description="models")
    def models(self, study: Study) -> str:
        """Return the models in the order of the study file."""
        return ", ".join(map(str, study.diffusion_models))

    @admin.display(description="overview")
    def overview(self, study: Study) -> SafeString:
        """Return a link to the study's own page, which has its progress, failures and alarms."""
        return format_html('<a href="{}">Progress, failures and alarms</a>', study.get_absolute_url())

    @admin.display(description="alarm")
    def alarm(self, study: Study) -> str:
        """Return the quality rules that lately exclude more annotators."""
        return ", ".join(count.rule.words for count in getattr(study, "alarms", ())) or "–"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return the list that loads the alarms of all its studies at once."""
        return _StudyList

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the study with the forms of its actions."""
        study = self.get_queryset(request).filter(pk=object_id).first() if object_id.isdecimal() else None
        context = self._actions(request, study) if study else {}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def _actions(self, request: HttpRequest, study: Study) -> dict[str, Any]:
        """Return the actions that this account may take on the study now."""
        may_act = may_change(request, study)
        may_drop = may_act and transitions.may_drop_seeds(study)
        return {
            "study_actions": actions_for(study) if may_act else [],
            "drop_seed_form": DropSeedForm() if may_drop else None,
            "droppable_seeds": seeds_without_an_image(study) if may_drop else [],
            "may_change": may_act,
            "may_amend": may_act and not study.is_over,
        }

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Create a study from its file, validated as the command create_study does."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = StudyFileForm(request.POST or None)
        form.account = cast(User, request.user)
        if form.is_valid():
            try:
                study = create_study(manifest=form.manifest, actor=cast(User, request.user))
            except Refused as refusal:
                form.add_error(None, str(refusal))
            else:
                return self._done(request, study, f"{study} is made.", form)
        return self._form_page(request, form, "Add study")

    def amend(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Change the study file: freely if the study is a draft, later only what an amendment may change."""
        study = self._study(request, pk)
        earlier = current_manifest(study)
        form = AmendmentForm(request.POST or None, initial={"file_text": write_study_file(earlier)})
        form.earlier, form.account = earlier, cast(User, request.user)
        if form.is_valid():
            reason = form.cleaned_data["reason"]
            try:
                version = amend(study=study, manifest=form.manifest, reason=reason, actor=cast(User, request.user))
            except Refused as refusal:
                form.add_error(None, str(refusal))
            else:
                return self._done(request, study, f"The manifest is {version.sha256} now.", form)
        return self._form_page(request, form, f"Amend {study}", study)

    def drop_seed(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Drop a seed from both sets of a comparison."""
        study = self._study(request, pk)
        form = DropSeedForm(request.POST or None)
        if not form.is_valid():
            messages.error(request, " ".join(form.sentences()))
            return self._back(study)
        position, seed = form.cleaned_data["number"] - 1, form.cleaned_data["seed"]
        try:
            transitions.drop_seed(study=study, position=position, seed=seed, actor=cast(User, request.user))
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"Seed {seed} is dropped from both sets of comparison {position + 1}.")
        return self._back(study)

    def _study(self, request: HttpRequest, pk: int) -> Study:
        study: Study = get_object_or_404(self.get_queryset(request), pk=pk)
        if not may_change(request, study):
            raise PermissionDenied
        return study

    def _back(self, study: Study) -> HttpResponse:
        return redirect("admin:annotation_study_change", study.pk)

    def _done(self, request: HttpRequest, study: Study, sentence: str, form: StudyFileForm) -> HttpResponse:
        messages.success(request, sentence)
        for warning in form.warnings():
            messages.warning(request, warning)
        return self._back(study)

    def _form_page(
        self, request: HttpRequest, form: StudyFileForm, title: str, study: Study | None = None
    ) -> HttpResponse:
        context = {"form": form, "title": title, "original": study, "opts": self.opts}
        page = {**self.admin_site.each_context(request), **context}
        return render(request, "admin/annotation/study/file_form.html", page)
