"""The settings of a study: what may still change, with its consequence, as a form and as the whole study file."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods
from pydantic import ValidationError

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.documents import document
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.manifest import AnnotationPlan, Manifest, PrivacyPlan
from annotation.studies.people.data_record import retention_sentence
from annotation.studies.sharing import Role
from annotation.studies.study_file.reading import StudyFileFault
from annotation.studies.study_file.registered import parse_by_names
from annotation.studies.study_file.writing import write_study_file
from annotation.web.access.guard import may, researcher_page
from annotation.web.researcher.refused_fields import add_refusal
from jobs.refusals import Refused

LONGEST_FILE = 2_000_000
OVERLAP = (
    "How many annotators vote on each comparison. After the launch it can only go up: every comparison then needs more "
    "votes, from people who have not voted on it: invite more people."
)
EACH = "Annotators who have finished stay finished; all others continue to the new number."
MOST = "When this many people have finished, the open link says that the study is full. Empty: no limit."
OPENS = "UTC. The study opens by itself at this time if it is ready and a worker runs. Empty: you open it."
CLOSES = "UTC. The voting ends by itself at this time, for good, and the report is unsealed. Empty: you close it."
NOTICE = "Printed on every page and in every file of the report, also if the report is shared by a link."
ERASE_DAYS = (
    "So many days after the closing, links, labels, platform ids and answers of all annotators are erased. Votes stay, "
    "under pseudonyms. Empty: an owner erases them. Do not lengthen what your consent text promises."
)
ERASE_AT = "UTC. Or at this time, and not before the closing. Give one of the two."
REASON = "The report prints it. A draft needs none."
MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class SettingsForm(forms.Form):
    """The settings that may change after the launch, and the reason that the report prints."""

    overlap = forms.IntegerField(label="Votes for each comparison", min_value=1, max_value=1000, help_text=OVERLAP)
    comparisons_per_annotator = forms.IntegerField(
        label="Comparisons for each annotator", min_value=1, max_value=100_000, help_text=EACH
    )
    most_annotators = forms.IntegerField(
        label="People who may finish", min_value=1, max_value=1_000_000, required=False, help_text=MOST
    )
    opens_at = forms.DateTimeField(label="Opens at", required=False, help_text=OPENS, widget=MOMENT)
    closes_at = forms.DateTimeField(label="Closes at", required=False, help_text=CLOSES, widget=MOMENT)
    erase_days_after_closing = forms.IntegerField(
        label="Erase personal data after days", min_value=0, max_value=36_500, required=False, help_text=ERASE_DAYS
    )
    erase_at = forms.DateTimeField(label="Erase personal data at", required=False, help_text=ERASE_AT, widget=MOMENT)
    notice = forms.CharField(label="Notice", required=False, max_length=2000, help_text=NOTICE)
    reason = forms.CharField(label="Reason for the change", required=False, max_length=500, help_text=REASON)

    @classmethod
    def of(cls, manifest: Manifest) -> "SettingsForm":
        """Return the form with the current settings."""
        sections = (manifest, manifest.annotation, manifest.privacy)
        now = {name: getattr(one, name) for one in sections for name in cls.base_fields if hasattr(one, name)}
        return cls(initial=now)

    def changed(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the values of a valid form. Raises ValidationError for values that do not fit."""
        plan, given = document(manifest), self.cleaned_data
        sections = {
            section: {**plan.get(section, {}), **{name: given[name] for name in kind.model_fields if name in given}}
            for section, kind in (("annotation", AnnotationPlan), ("privacy", PrivacyPlan))
        }
        return Manifest.model_validate({**plan, **sections, "notice": given["notice"]})


class FileForm(forms.Form):
    """The whole study file, and the reason for the change."""

    file_text = forms.CharField(
        label="Study file",
        strip=False,
        max_length=LONGEST_FILE,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "file"}),
        help_text="After the launch, texts may change too. If a change is refused, the message names the key.",
    )
    file_reason = forms.CharField(label="Reason for the change", required=False, max_length=500)


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def study_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what may still change; by POST, amend the study with the form or with the file."""
    study = get_object_or_404(Study, slug=slug)
    manifest = current_manifest(study)
    form, file_form = SettingsForm.of(manifest), FileForm(initial={"file_text": write_study_file(manifest)})
    if request.method == "POST":
        if "file_text" in request.POST:
            file_form = FileForm(request.POST)
            is_done = _amend_by_file(request, study, file_form)
        else:
            form = SettingsForm(request.POST)
            is_done = _amend_by_form(request, study, form)
        if is_done:
            return redirect("study-settings", slug)
    may_see_file = may(request, Role.EDITOR)  # it holds the completion codes
    context: dict[str, Any] = {
        "study": study,
        "tab": "settings",
        "form": form,
        "file_form": file_form if may_see_file else None,
        "retention": retention_sentence(study, manifest),
        "versions": study.manifest_versions.order_by("-number").select_related("created_by")[:5],
        "is_file_open": file_form.is_bound,
    }
    is_refused = form.is_bound or file_form.is_bound
    return render(request, "web/researcher/settings.html", context, status=400 if is_refused else 200)


def _amend_by_form(request: HttpRequest, study: Study, form: SettingsForm) -> bool:
    """Amend the study; return False with the reason in the form if it is refused."""
    if not form.is_valid():
        return False
    try:
        manifest = form.changed(current_manifest(study))
        version = amend(
            study=study, manifest=manifest, reason=form.cleaned_data["reason"], actor=cast(User, request.user)
        )
    except Refused as refusal:
        add_refusal(form, str(refusal))
    except ValidationError as error:
        for fault in error.errors():
            name = fault["loc"][-1] if fault["loc"] else None
            form.add_error(str(name) if name in form.fields else None, str(fault["msg"]).removeprefix("Value error, "))
    else:
        messages.success(request, _done(study, version.number))
        return True
    return False


def _amend_by_file(request: HttpRequest, study: Study, form: FileForm) -> bool:
    """Amend the study by its file; return False with the faults and their lines in the form if it is refused."""
    if not form.is_valid():
        return False
    text, actor = form.cleaned_data["file_text"], cast(User, request.user)
    try:
        manifest = parse_by_names(text, account=actor, earlier=current_manifest(study))
        version = amend(study=study, manifest=manifest, reason=form.cleaned_data["file_reason"], actor=actor)
    except StudyFileFault as fault:
        form.add_error("file_text", list(map(str, fault.faults[:50])))
    except Refused as refusal:
        form.add_error(None, str(refusal))
    else:
        messages.success(request, _done(study, version.number))
        return True
    return False


def _done(study: Study, number: int) -> str:
    if study.state == Study.State.DRAFT:
        return "The draft is changed."
    return f"The change is version {number} of the study file: the report will name it with its reason and its hash."


urlpatterns: list[URLPattern] = [path("studies/<slug:slug>/settings/", study_settings, name="study-settings")]
