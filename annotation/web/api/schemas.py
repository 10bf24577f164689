"""The documents of the API: what a script or the page sends, and what it receives."""

from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema
from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

MOST_RESPONSE_MS = 2**31 - 1


class Request(Schema):
    """A document that is sent. A field that is not known is refused, and so is NUL, which PostgreSQL's texts lack."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _refuse_nul(cls, value: Any) -> Any:
        if any(isinstance(one, str) and "\0" in one for one in (value if isinstance(value, list) else [value])):
            raise PydanticCustomError("nul", "The character NUL cannot be stored: leave it out")
        return value


class BallotIn(Request):
    """A vote. The sender makes a random `vote_id`; the same id counts once, however often it is sent."""

    vote_id: UUID
    assignment: str = Field(max_length=100, description="As it came with the comparison.")
    choice: Literal["left", "right", "tie"]
    shown_at: AwareDatetime | None = Field(None, description="When every image had been painted, by your clock.")
    voted_at: AwareDatetime | None = Field(None, description="When the annotator chose, by your clock.")
    response_ms: int | None = Field(None, ge=0, le=MOST_RESPONSE_MS, description="From painted to chosen.")
    rendition: Literal["", "grid", "grid2x", "zoom"] = Field("", description="Which size of image was shown.")


class AssignmentIn(Request):
    """A comparison that is given back."""

    assignment: str = Field(max_length=100)


class UndoIn(Request):
    """A vote that is taken back."""

    vote_id: UUID


class ImageReportIn(Request):
    """An image that could not be loaded, or that is offensive: the n-th (from 0) of a side."""

    assignment: str = Field(max_length=100)
    side: Literal["left", "right"]
    n: int = Field(ge=0, le=100_000)
    kind: Literal["failed", "offensive"]


class ProgressOut(BaseModel):
    """The number of comparisons that this annotator has answered, and of how many."""

    done: int
    of: int


class UndoOut(BaseModel):
    """The last vote, and the seconds for which it may still be undone."""

    vote_id: UUID
    seconds: float


IMAGES = Field(description="The address of each image; the browser appends its size, `.grid`, `.grid2x` or `.zoom`.")


class HeldOut(BaseModel):
    """A comparison, with what is needed to show it. Nothing in it tells which model made an image."""

    assignment: str
    question: str = Field(
        description="The question. {left} and {right} in it are placeholders for the names of the sides."
    )
    prompt: str | None = Field(description="Null unless the study shows prompts.")
    left: tuple[str, ...] = IMAGES
    right: tuple[str, ...] = IMAGES
    ties: bool = Field(description="Whether a tie may be voted.")
    minimum_viewing_seconds: float
    progress: ProgressOut


class ComparisonOut(HeldOut):
    """The comparison to vote on now, and what comes after it."""

    kind: Literal["comparison"] = "comparison"
    ahead: list[HeldOut] = Field(
        description="The next comparisons, held by a lease of `ahead_seconds`; nobody has seen them yet."
    )
    ahead_seconds: float
    undo: UndoOut | None


class WaitOut(BaseModel):
    """Nothing is free now, but comparisons of others may come back: ask again after `seconds` at the latest."""

    kind: Literal["wait"] = "wait"
    seconds: int


class DoneOut(BaseModel):
    """No comparison is left for this annotator."""

    kind: Literal["done"] = "done"


class StoppedOut(BaseModel):
    """The study gives out nothing now: not opened yet, paused or closed."""

    kind: Literal["stopped"] = "stopped"
    message: str


NextOut = Annotated[ComparisonOut | WaitOut | DoneOut | StoppedOut, Field(discriminator="kind")]


class CastOut(BaseModel):
    """The state of a vote that was sent (`late`: kept, but its slot was taken), and what comes next."""

    state: Literal["accepted", "late", "already_voted"]
    next: NextOut


class ReleasedOut(BaseModel):
    """Whether the comparison was still held; if not, nothing changed."""

    released: bool


class LeftOut(BaseModel):
    """The number of comparisons that were held ahead and are free again."""

    released: int


class RefusalOut(BaseModel):
    """One sentence that says what is wrong and what to do."""

    message: str
