"""The admin's forms. The text of a study file is parsed as a file on disk is."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import StudyFileFault, warnings_in
from annotation.studies.study_file.registered import parse_by_names

# The text with which the form for a new study begins.
EXAMPLE = """\
name = "My study"
# slug = "my-study"            # drawn from the name if left out
source = "generated"           # or "images" (imported), or "external" (votes and scores only)
notice = ""                    # printed on every page of the report

[models.a]
name = "Model A"
checkpoint = "/path/to/model-a" # a local folder; or a hub id together with revision = "40 digits"
prompt_template = "{prompt}"

[models.b]
name = "Model B"
checkpoint = "/path/to/model-b"
prompt_template = "{prompt}"

[prompts]
list = [
  "a red bicycle",
  "a lighthouse at dusk",
]

[images]
per_set = 20
seeds = 7                      # one number that they are drawn from, or a list of 20

[annotation]
overlap = 5                    # votes wanted for each comparison
comparisons_per_annotator = 60
ties = false
"""


class StudyFileForm(forms.Form):
    """A study file as text. A valid form has the `manifest` that it describes."""

    file_text = forms.CharField(
        label="Study file",
        strip=False,
        initial=EXAMPLE,
        widget=forms.Textarea(attrs={"rows": 40, "cols": 110, "spellcheck": "false", "class": "vLargeTextField"}),
        help_text="TOML, as create_study takes it. Only admins may name folders (by paths from /); others name models.",
    )
    manifest: Manifest
    account: User
    earlier: Manifest | None = None  # the manifest that the file amends

    def clean_file_text(self) -> str:
        """Parse the file; report each of its faults on its own line."""
        text = str(self.cleaned_data["file_text"])
        try:
            self.manifest = parse_by_names(text, account=self.account, earlier=self.earlier)
        except StudyFileFault as fault:
            raise forms.ValidationError(list(map(str, fault.faults))) from None
        return text

    def warnings(self) -> list[str]:
        """Return the warnings about a valid file."""
        return list(map(str, warnings_in(self.cleaned_data["file_text"], None, self.manifest)))


class AmendmentForm(StudyFileForm):
    """The whole changed study file, and the reason for the change."""

    reason = forms.CharField(
        required=False, max_length=500, help_text="Printed in the report. A draft needs none.", widget=forms.TextInput
    )
    field_order = ("reason", "file_text")


class DropSeedForm(forms.Form):
    """The seed to drop from both sets of a comparison."""

    number = forms.IntegerField(min_value=1, label="Comparison (from 1)")
    seed = forms.IntegerField(min_value=0)

    def sentences(self) -> list[str]:
        """Return the faults of the numbers."""
        errors: dict[str, Any] = self.errors.get_json_data()
        return [f"{name}: {error['message']}" for name, listed in errors.items() for error in listed]
