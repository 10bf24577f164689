"""The personal data of an annotator: the one list that erasure, retention, audit and the record read.

A test compares it with the tables, so a new text about a person stands here or is named there as not personal.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.apps import apps

from annotation.models.annotator import Annotator, new_resume_code
from annotation.models.study import new_link_token


@dataclass(frozen=True, slots=True)
class PersonalField:
    """A field that names a person, or that a person wrote.

    words: its name on pages and in the audit. table, column: where it is stored. purpose: why. seen_by: who may read
    it. blank: gives the value that takes its place; None: the whole row, which belongs to one annotator, is deleted.
    """

    words: str
    table: str
    column: str
    purpose: str
    seen_by: str
    blank: Callable[[], Any] | None = None


EDITORS = "editors and owners"
PERSONAL_FIELDS = (
    PersonalField(
        "link", "Annotator", "token", "Leads the person back to where they stopped.", EDITORS, blank=new_link_token
    ),
    PersonalField(
        "resume code",
        "Annotator",
        "resume_code",
        "Leads the person back from another device.",
        "the person, on their own pages",
        blank=new_resume_code,
    ),
    PersonalField(
        "label",
        "Annotator",
        "label",
        "Tells the researcher whose personal link or imported votes these are.",
        "viewers, editors and owners",
        blank=str,
    ),
    PersonalField(
        "platform id",
        "Annotator",
        "external_id",
        "Recognises a person whom a crowd platform sends, so that they take part once and are paid.",
        EDITORS,
        blank=str,
    ),
    PersonalField(
        "platform parameters",
        "Annotator",
        "platform_parameters",
        "What else the study file asks of the platform's link, for example its session.",
        "admins",
        blank=dict,
    ),
    PersonalField(
        "e-mail address",
        "Contact",
        "address",
        "Sends the person an invitation and reminders, if the researcher invites by e-mail.",
        EDITORS,
    ),
    PersonalField(
        "answers and comments",
        "Answer",
        "value",
        "The questions of the study before the comparisons, the comprehension check, and the comment at the end.",
        EDITORS,
    ),
)


def field_names() -> list[str]:
    """Return the names of all personal fields, as the audit has them."""
    return [field.words for field in PERSONAL_FIELDS]


def blank_columns(annotator: Annotator, *, kept: Collection[str] = ()) -> list[str]:
    """Replace the personal columns of an annotator, without saving, and return their names. kept: columns that stay."""
    blanks = {
        field.column: field.blank
        for field in PERSONAL_FIELDS
        if field.table == "Annotator" and field.blank and field.column not in kept
    }
    for column, blank in blanks.items():
        setattr(annotator, column, blank())
    return list(blanks)


def delete_personal_rows(annotator_ids: Collection[int]) -> None:
    """Delete the rows that people wrote, of these annotators."""
    for table in {field.table for field in PERSONAL_FIELDS if field.blank is None}:
        apps.get_model("annotation", table).objects.filter(annotator__in=annotator_ids).delete()
