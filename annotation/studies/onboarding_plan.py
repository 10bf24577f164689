"""The sections of a study file about onboarding and debriefing, and about the crowd platform."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from annotation.studies.section import Section

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\r\n]*$")]
QuestionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]
Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]*$", max_length=50)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=100)]
CODE_LEFT_OUT = "left-out"  # in published documents, in place of a completion code


class QuestionPlan(Section):
    """A question asked before the comparisons. Only kind "choice" has `choices`."""

    name: QuestionName
    text: Line
    kind: Literal["text", "number", "choice"] = "text"
    choices: tuple[Line, ...] = ()
    required: bool = False


class CheckPlan(Section):
    """A multiple-choice question of the comprehension check; `answer` is one of the choices."""

    text: Line
    choices: tuple[Line, ...] = Field(min_length=2)
    answer: Line


class FramePlan(Section):
    """The pages before and after the comparisons. By default a study has none of them."""

    questions: tuple[QuestionPlan, ...] = ()
    worked_examples: int = Field(default=0, ge=0, le=5)
    practice: int = Field(default=0, ge=0, le=20)
    check: tuple[CheckPlan, ...] = ()
    break_every: int = Field(default=0, ge=0, le=100_000)
    asks_comment: bool = False


class PlatformPlan(Section):
    """The crowd platform that sends annotators. Each outcome has its own completion code."""

    id_parameter: Parameter = ""
    other_parameters: tuple[Parameter, ...] = ()
    redirect_url: str = Field(default="", max_length=500)
    complete_code: Code = ""
    screened_out_code: Code = ""
    failed_checks_code: Code = ""
    withdrawn_code: Code = ""
    study_full_code: Code = ""

    def leaving_address(self, code: str) -> str:
        """Return the platform's address with this completion code; empty if there is no code or no address."""
        return self.redirect_url.replace("{code}", code) if code else ""
