"""The base class of every section of a study file, and a fault found in one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

Parts = Mapping[str, Any]  # sections of a manifest, by field name
Key = tuple[str | int, ...]


def _in_utc(moment: datetime) -> datetime:
    """Return the same moment in UTC: one spelling, so that one moment gives one hash."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the year is out of range") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Section(BaseModel):
    """A section of the study file. It is frozen and refuses unknown keys, also in the dataclasses that it holds."""

    # Instances are validated again, so that 7 and 7.0 in a float field give one document and one hash.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, revalidate_instances="always")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a study: its key, and one sentence that says how to correct it."""

    key: Key
    sentence: str
