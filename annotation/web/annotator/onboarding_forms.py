"""The forms around the comparisons, made from what the study file says."""

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.studies.onboarding_plan import CheckPlan, QuestionPlan

MOST_LETTERS = 1000
MOST_COMMENT_LETTERS = 5000


class QuestionsForm(forms.Form):
    """The study's questions, in the order of the study file."""

    def __init__(self, questions: tuple[QuestionPlan, ...], data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]  # a QueryDict, or None
        for question in questions:
            self.fields[question.name] = _field(question)

    def values(self) -> dict[str, str]:
        """The answers as texts, by the names of the questions; empty where none was given."""
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
    """The comprehension check. `tries` is how many had failed when the page was made."""

    tries = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, check: tuple[CheckPlan, ...], *, data: object = None, tries: int = 0) -> None:
        super().__init__(data, initial={"tries": tries})  # type: ignore[arg-type]  # a QueryDict, or None
        for number, question in enumerate(check, start=1):
            self.fields[f"check{number}"] = _choice(question.text, question.choices, is_required=True)

    def given(self) -> list[str]:
        """The answers in the order of the questions."""
        return [value for name, value in self.cleaned_data.items() if name != "tries"]


class CommentForm(forms.Form):
    """A free comment; nothing is an answer too."""

    comment = forms.CharField(
        label=_("Your comment"),
        required=False,
        max_length=MOST_COMMENT_LETTERS,
        widget=forms.Textarea(attrs={"rows": 6}),
    )
