"""What every part of a study file is made of."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


def _in_utc(moment: datetime) -> datetime:
    """The same moment in UTC: one spelling, so that one moment gives one hash."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the year is out of range") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Section(BaseModel):
    """A part of the study file: frozen, and nothing in it goes unread (in its dataclasses neither)."""

    # Instances are validated again, so that 7 and 7.0 in a float field give one document and one hash.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, revalidate_instances="always")
