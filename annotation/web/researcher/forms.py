"""What people type into the pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.models import Study
from annotation.voting import annotators

MOST_AT_ONCE = 500
LABEL_LENGTH = 200


class InvitationForm(forms.Form):
    """How many links, or for whom."""

    count = forms.IntegerField(
        label=_("How many"), required=False, min_value=1, max_value=MOST_AT_ONCE, help_text=_("Labelled by number.")
    )
    labels = forms.CharField(
        label=_("Or for whom"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_(
            "One label a line; a link is made for each. A label is only a name for you: annotators never see it."
        ),
    )

    def clean_labels(self) -> list[str]:
        """The labels, without blank lines."""
        labels = [line.strip() for line in self.cleaned_data["labels"].splitlines() if line.strip()]
        if len(labels) > MOST_AT_ONCE:
            raise forms.ValidationError(_("At most %(most)s at once."), params={"most": MOST_AT_ONCE})
        if any(len(label) > LABEL_LENGTH for label in labels):
            raise forms.ValidationError(_("A label has at most %(most)s letters."), params={"most": LABEL_LENGTH})
        return labels

    def clean(self) -> None:
        """One of the two is needed."""
        super().clean()
        if not self.errors and not (self.cleaned_data["count"] or self.cleaned_data["labels"]):
            self.add_error("count", _("Say how many links, or give a label for each."))

    def labels_for(self, study: Study) -> list[str]:
        """The labels as given, else numbers that go on from the annotators there are."""
        first = study.annotators.count() + 1
        numbered = [f"{number}" for number in range(first, first + (self.cleaned_data["count"] or 0))]
        return self.cleaned_data["labels"] or numbered


class ReturnedForm(forms.Form):
    """The ids of people who have returned their place on the platform, or timed out there."""

    ids = forms.CharField(
        label=_("Ids of people who returned or timed out"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One a line, as the platform lists them. What they hold is given out to others; their votes stay."),
    )

    def clean_ids(self) -> list[str]:
        """Each id once, without blank lines."""
        return list(dict.fromkeys(self.cleaned_data["ids"].split()))


class ResumeForm(forms.Form):
    """The code that an annotator wrote down; blanks, hyphens and small letters are forgiven."""

    code = forms.CharField(
        label=_("Resume code"),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )

    def clean(self) -> dict[str, Any]:
        """Find the annotator."""
        cleaned = super().clean() or {}
        if "code" in cleaned:
            cleaned["annotator"] = annotators.by_resume_code(cleaned["code"])
            if cleaned["annotator"] is None:
                self.add_error("code", _("No place has this code. Compare it with what you wrote down."))
        return cleaned
