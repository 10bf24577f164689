"""The documents of the API for researchers: what a script sends about studies, and what it receives."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field
from pydantic import BaseModel

from annotation.studies.invitations import MOST_AT_ONCE
from annotation.studies.mail import templates
from annotation.studies.pilot.drawing import MOST_OVERLAP
from annotation.web.api.schemas import Request


class StudyFileIn(Request):
    """A study file as text (TOML). Its models are named as the installation names them, without paths."""

    file: str = Field(max_length=2_000_000)


class AmendmentIn(StudyFileIn):
    """The whole changed study file. `reason`: the report prints it; a draft needs none."""

    reason: str = Field(default="", max_length=500)


class RoleIn(Request):
    """An account's role in the study; `none` ends it."""

    account: str = Field(max_length=150)
    role: Literal["viewer", "editor", "owner", "none"]


class InvitationsIn(Request):
    """The personal links to create: a label for each, or their count, and then numbers are their labels."""

    count: int = Field(0, ge=0, le=MOST_AT_ONCE)
    labels: list[str] = Field([], max_length=MOST_AT_ONCE)


class PilotIn(Request):
    """The size of a pilot: at least so many prompts, and votes for each comparison; by default as the page offers."""

    prompts: int | None = Field(None, ge=2, le=1_000_000)
    overlap: int | None = Field(None, ge=1, le=MOST_OVERLAP)


class RecipientIn(Request):
    """A person to invite. `label`: a name for you; the person does not see it unless the message has {name}."""

    address: str = Field(max_length=254)
    label: str = Field("", max_length=200)


class TextIn(Request):
    """A mail. Its places are {link}, which a message needs, {study} and {name}. Null: the usual text, translated."""

    subject: str | None = Field(None, max_length=templates.LONGEST_SUBJECT)
    message: str | None = Field(None, max_length=templates.LONGEST_TEXT)


class InvitationMailsIn(TextIn):
    """The people to invite by e-mail, and the mail."""

    people: list[RecipientIn] = Field(min_length=1, max_length=MOST_AT_ONCE)


class ReminderIn(TextIn):
    """The mail that reminds everybody who was invited by e-mail and has not finished."""


class StudyOut(BaseModel):
    """A study. `role`: of the account that asks. `pilot_of`: the study that it is a pilot of, or empty."""

    slug: str
    name: str
    state: str
    source: str
    models: list[str]
    role: str
    pilot_of: str
    manifest_sha256: str
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    archived_at: datetime | None
    erases_at: datetime | None
    erased_at: datetime | None


class StudyDetailOut(StudyOut):
    """A study with its progress (counts only, nothing sealed), its warnings, and the actions possible now."""

    progress: dict[str, Any]
    actions: list[str]
    warnings: list[str]


class PageOut(BaseModel):
    """A page of a list: `count` rows in all, `next` is the address of the rows that follow."""

    count: int
    next: str | None


class StudiesOut(PageOut):
    """A page of studies, the newest first."""

    items: list[StudyOut]


class CheckOut(BaseModel):
    """The study that a file without faults would create."""

    slug: str
    prompts: int
    warnings: list[str]


class ModelOut(BaseModel):
    """A model that a study file may name. `endpoint`: the name of the endpoint that makes its images, if one does."""

    name: str
    endpoint: str
    dtype: str


class ModelsOut(BaseModel):
    """The models of this installation."""

    items: list[ModelOut]


class ShareOut(BaseModel):
    """An account and its role."""

    account: str
    role: str


class SharesOut(BaseModel):
    """The accounts that have a role in the study."""

    items: list[ShareOut]


class ReportLinkOut(BaseModel):
    """A link with which anyone may read the report of the closed study."""

    id: int
    address: str
    created_at: datetime


class ReportLinksOut(BaseModel):
    """The links in force."""

    items: list[ReportLinkOut]


class InvitationOut(BaseModel):
    """A personal link: the whole credential of its annotator."""

    label: str
    link: str


class InvitationsOut(PageOut):
    """A page of personal links, and the open link of the study."""

    open_link: str
    items: list[InvitationOut]


class MailsOut(BaseModel):
    """The number of mails that were written; a worker sends them."""

    written: int


class InvitationMailOut(BaseModel):
    """A mail and its state: waiting, sending, sent or failed, and why."""

    address: str
    label: str
    kind: str
    state: str
    why: str
    created_at: datetime
    changed_at: datetime


class InvitationMailsOut(PageOut):
    """A page of mails, the latest first."""

    items: list[InvitationMailOut]


class MetricOut(BaseModel):
    """A metric. `is_own`: whether the report is made by it unless another one is named."""

    name: str
    is_own: bool


class MetricsOut(BaseModel):
    """The metrics with scores."""

    items: list[MetricOut]


class ReportStateOut(BaseModel):
    """A report that is being made: ask again."""

    state: str
    percent: int
    step: str


class PilotResultOut(BaseModel):
    """The result of a pilot. `sentences`: the answer, and what it assumes. `result`: the values, see docs/api.md."""

    sentences: list[str]
    result: dict[str, Any]


class NoticeOut(BaseModel):
    """A notice: something that began in a study, and ended unless `ended_at` is null. `is_read`: by this account."""

    study: str
    kind: str
    words: str
    began_at: datetime
    ended_at: datetime | None
    is_read: bool


class NoticesOut(PageOut):
    """A page of the account's notices, the latest first."""

    items: list[NoticeOut]


class ReadOut(BaseModel):
    """The number of notices that were marked as read."""

    read: int


class ActOut(BaseModel):
    """An act on the study. `actor` is empty for a command or a worker."""

    happened_at: datetime
    actor: str
    verb: str
    detail: dict[str, Any]


class HistoryOut(PageOut):
    """A page of the history, the latest act first."""

    items: list[ActOut]


class StoredFieldOut(BaseModel):
    """A personal field of the record. `people`: of how many annotators a value is stored now."""

    name: str
    purpose: str
    seen_by: str
    people: int


class DataRecordOut(BaseModel):
    """The record of a study's personal data. `roles`: account and role. `retention`: until when it is stored."""

    study: str
    slug: str
    manifest_sha256: str
    notice: str
    state: str
    people: int
    consent: str
    questions: list[str]
    personal: list[StoredFieldOut]
    kept: list[str]
    not_stored: list[str]
    roles: list[tuple[str, str]]
    retention: str
    rights: list[str]
    backups: str


class FaultOut(BaseModel):
    """One fault of a request. `line`: of the study file, from 1; 0 if it has none."""

    field: str
    detail: str
    line: int = 0


class ProblemOut(BaseModel):
    """An error as a problem document (RFC 9457), with each fault and its field."""

    type: str
    title: str
    status: int
    detail: str
    message: str
    errors: list[FaultOut]
