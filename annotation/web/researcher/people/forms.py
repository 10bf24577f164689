"""The forms of the researcher's pages."""

from django import forms

from annotation.studies.invitations import LABEL_LENGTH, MOST_AT_ONCE


class InvitationForm(forms.Form):
    """The number of personal links to create, or a label for each."""

    count = forms.IntegerField(
        label="Number of links", required=False, min_value=1, max_value=MOST_AT_ONCE, help_text="Labelled by number."
    )
    labels = forms.CharField(
        label="Or one label for each link",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One label per line. A label is a name for you: annotators never see it.",
    )

    def clean_labels(self) -> list[str]:
        """Return the labels without blank lines."""
        labels = [line.strip() for line in self.cleaned_data["labels"].splitlines() if line.strip()]
        if len(labels) > MOST_AT_ONCE:
            raise forms.ValidationError(f"At most {MOST_AT_ONCE} links can be created at once.")
        if any(len(label) > LABEL_LENGTH for label in labels):
            raise forms.ValidationError(f"A label can have at most {LABEL_LENGTH} letters.")
        return labels

    def clean(self) -> None:
        """Refuse a form with neither a number nor labels."""
        super().clean()
        if not self.errors and not (self.cleaned_data["count"] or self.cleaned_data["labels"]):
            self.add_error("count", "Enter a number of links, or a label for each.")


class ReturnedForm(forms.Form):
    """The ids of annotators who returned the study on the platform, or timed out there."""

    ids = forms.CharField(
        label="Ids of annotators who returned the study or timed out",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One per line, as the platform lists them. What they hold is released; their votes stay.",
    )

    def clean_ids(self) -> list[str]:
        """Return each id once."""
        return list(dict.fromkeys(self.cleaned_data["ids"].split()))
