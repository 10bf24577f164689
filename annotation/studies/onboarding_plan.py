"""The parts of a study file about what stands around the comparisons, and about the platform people come from."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from annotation.studies.section import Section

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\r\n]*$")]
QuestionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]
Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]*$", max_length=50)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=100)]


class QuestionPlan(Section):
    """A question asked before the comparisons. `choices` belong to kind choice alone."""

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
    """What an annotator meets around the comparisons; everything left out is left out of the study."""

    questions: tuple[QuestionPlan, ...] = ()
    worked_examples: int = Field(default=0, ge=0, le=5)
    practice: int = Field(default=0, ge=0, le=20)
    check: tuple[CheckPlan, ...] = ()
    break_every: int = Field(default=0, ge=0, le=100_000)
    asks_comment: bool = False


class PlatformPlan(Section):
    """The crowd platform that people come from and go back to, each outcome with a completion code of its own."""

    id_parameter: Parameter = ""
    other_parameters: tuple[Parameter, ...] = ()
    redirect_url: str = Field(default="", max_length=500)
    complete_code: Code = ""
    screened_out_code: Code = ""
    failed_checks_code: Code = ""
    withdrawn_code: Code = ""
    study_full_code: Code = ""

    def leaving_address(self, code: str) -> str:
        """Where an annotator with this completion code goes back to; empty where the study file names no address."""
        return self.redirect_url.replace("{code}", code) if code else ""
