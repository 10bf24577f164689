"""The annotator's forms: the resume code, and the forms of a study's onboarding and debriefing."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.studies.onboarding_plan import CheckPlan, QuestionPlan
from annotation.voting import annotators

MOST_LETTERS = 1000
MOST_COMMENT_LETTERS = 5000


class QuestionsForm(forms.Form):
    """The study's questions, in the order of the study file."""

    def __init__(self, questions: tuple[QuestionPlan, ...], data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]  # a QueryDict, or None
        for question in questions:
            self.fields[question.name] = _field(question)

    def values(self) -> dict[str, str]:
        """Return the answers as texts by the names of the questions; an empty text if there is no answer."""
        return {name: "" if value is None else str(value) for name, value in self.cleaned_data.items()}


def _field(question: QuestionPlan) -> forms.Field:
    if question.kind == "number":
        return forms.DecimalField(label=question.text, required=question.required, max_digits=20)
    if question.kind == "choice":
        return _choice(question.text, question.choices, is_required=question.required)
    return forms.CharField(label=question.text, required=question.required, max_length=MOST_LETTERS)


def _choice(label: str, choices: tuple[str, ...], *, is_required: bool) -> forms.ChoiceField:
    pairs = [(choice, choice) for choice in choices]
    return forms.ChoiceField(label=label, required=is_required, choices=pairs, widget=forms.RadioSelect)


class CheckForm(forms.Form):
    """The comprehension check. `tries` is the number of tries that had failed when the page was rendered."""

    tries = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, check: tuple[CheckPlan, ...], *, data: object = None, tries: int = 0) -> None:
        super().__init__(data, initial={"tries": tries})  # type: ignore[arg-type]  # a QueryDict, or None
        for number, question in enumerate(check, start=1):
            self.fields[f"check{number}"] = _choice(question.text, question.choices, is_required=True)

    def given(self) -> list[str]:
        """Return the answers in the order of the questions."""
        return [value for name, value in self.cleaned_data.items() if name != "tries"]


class CommentForm(forms.Form):
    """A free comment, which may be empty."""

    comment = forms.CharField(
        label=_("Your comment"),
        required=False,
        max_length=MOST_COMMENT_LETTERS,
        widget=forms.Textarea(attrs={"rows": 6}),
    )


class ResumeForm(forms.Form):
    """The code that an annotator wrote down; spaces, hyphens and lower case are accepted."""

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
                self.add_error("code", _("No annotator has this code. Compare it with the one that you wrote down."))
        return cleaned
