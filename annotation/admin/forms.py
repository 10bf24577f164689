"""The admin's forms. A study file pasted into one goes through the same parser as a file on disk."""

from typing import Any

from django import forms

from annotation.admin.example import EXAMPLE
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import StudyFileFault, parse, warnings_in
from annotation.studies.validation.warnings import doubts


class StudyFileForm(forms.Form):
    """A study file as text; `manifest` is what it says, once the form is valid."""

    file_text = forms.CharField(
        label="Study file",
        strip=False,
        initial=EXAMPLE,
        widget=forms.Textarea(attrs={"rows": 40, "cols": 110, "spellcheck": "false", "class": "vLargeTextField"}),
        help_text="TOML, as create_study takes it. Paths begin with / here: there is no folder to start from.",
    )
    manifest: Manifest
    earlier: Manifest | None = None  # of the study that the file amends

    def clean_file_text(self) -> str:
        """Every fault of the file, each on a line of its own."""
        text = str(self.cleaned_data["file_text"])
        try:
            self.manifest = parse(text, base=None, earlier=self.earlier)
        except StudyFileFault as fault:
            raise forms.ValidationError([str(one) for one in fault.faults]) from None
        return text

    def doubts(self) -> list[str]:
        """What a valid file probably does not mean."""
        return [*doubts(self.manifest), *map(str, warnings_in(self.cleaned_data["file_text"], base=None))]


class AmendmentForm(StudyFileForm):
    """The whole study file with its changes, and why."""

    reason = forms.CharField(
        required=False, max_length=500, help_text="Printed in the report. A draft needs none.", widget=forms.TextInput
    )
    field_order = ("reason", "file_text")


class DropSeedForm(forms.Form):
    """Which image to do without, in both sets."""

    number = forms.IntegerField(min_value=1, label="Comparison (from 1)")
    seed = forms.IntegerField(min_value=0)

    def sentences(self) -> list[str]:
        """What is wrong with the numbers."""
        errors: dict[str, Any] = self.errors.get_json_data()
        return [f"{name}: {error['message']}" for name, found in errors.items() for error in found]
