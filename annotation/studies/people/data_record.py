"""The record of a study's personal data for an ethics board: what is stored, why, how long, and who sees it."""

from dataclasses import asdict, dataclass
from typing import Any

from django.apps import apps
from django.db.models import Count, Q

from annotation.models import Annotator, Study, StudyShare
from annotation.models.personal_data import PERSONAL_FIELDS, PersonalField
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from jobs.wording import counted

ROLES = StudyShare.Role


@dataclass(frozen=True, slots=True)
class StoredField:
    """A row of the record. people: of how many annotators the study holds a value now."""

    name: str
    purpose: str
    seen_by: str
    people: int


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The record of one study. questions: what people are asked. roles: account and role. retention: a sentence."""

    study: str
    slug: str
    manifest_sha256: str
    notice: str
    state: str
    people: int
    consent: str
    questions: tuple[str, ...]
    personal: tuple[StoredField, ...]
    kept: tuple[str, ...]
    not_stored: tuple[str, ...]
    roles: tuple[tuple[str, str], ...]
    retention: str
    rights: tuple[str, ...]
    backups: str

    def as_document(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return asdict(self)


def data_record(study: Study) -> DataRecord:
    """Return the record of the study as it is now."""
    manifest = current_manifest(study)
    counts = _counts(study)
    shares = study.shares.select_related("account").order_by("pk")
    return DataRecord(
        study=study.name,
        slug=study.slug,
        manifest_sha256=study.manifest_sha256,
        notice=manifest.notice,
        state=study.get_state_display(),
        people=counts["people"],
        consent=_consent(manifest, counts["consent_sha256"]),
        questions=tuple(f"{one.text} ({one.kind})" for one in manifest.frame.questions),
        personal=tuple(_stored(study, field, counts) for field in PERSONAL_FIELDS),
        kept=KEPT,
        not_stored=NOT_STORED,
        roles=tuple((one.account.get_username(), ROLES(one.role).label) for one in shares),
        retention=retention_sentence(study, manifest),
        rights=_rights(manifest),
        backups=BACKUPS,
    )


KEPT = (
    "the votes: which side was chosen, when it was shown and chosen, how long it took, and checks of attention",
    "the times at which a person came, agreed, read the instructions, passed the check and finished",
    "the SHA-256 of the consent text that a person agreed to",
    "of a person who withdrew: a random id, the number of votes and the time; until the erasure also a keyed hash of "
    "the platform's id, so that they do not come back as another person",
    "of the people of an erased pilot: a keyed hash of the platform's id, until the main study is erased",
)
NOT_STORED = (
    "names, unless a researcher writes them into labels",
    "network addresses: the server counts tries by their hash for some minutes",
    "browsers, devices and places; the browser of a person keeps cookies that lead back to their place and show them "
    "their images",
)
BACKUPS = (
    "An erasure does not change backups. The operator's rule says when they end. A restored backup brings erased data "
    "back, and it must be erased again. Files that were downloaded before are not erased; the history names who "
    "downloaded them."
)


def retention_sentence(study: Study, manifest: Manifest) -> str:
    """Say until when personal data is stored."""
    plan = manifest.privacy
    if study.erased_at:
        return f"It was erased on {study.erased_at:%Y-%m-%d %H:%M} UTC; the votes stay, under pseudonyms."
    if study.erases_at:
        return f"It is erased on {study.erases_at:%Y-%m-%d %H:%M} UTC; the votes stay, under pseudonyms."
    if study.state == Study.State.CLOSED:
        return "It is stored until an owner erases it: the study file named no date."
    if plan.erase_days_after_closing is not None:
        days = counted(plan.erase_days_after_closing, "day")
        return f"It is erased {days} after the study closes; the votes stay, under pseudonyms."
    if plan.erase_at:
        return f"It is erased on {plan.erase_at:%Y-%m-%d %H:%M} UTC, or when the study closes if that is later."
    return "It is stored until an owner erases it after the study has closed: the study file names no date."


def _counts(study: Study) -> dict[str, int]:
    """Return how many people the study has (`people`), and how many have a value in each personal column; one query."""
    columns = [field.column for field in PERSONAL_FIELDS if field.table == "Annotator"]
    filled = {name: ~Q(**{name: {} if name == "platform_parameters" else ""}) for name in (*columns, "consent_sha256")}
    wanted = {name: Count("pk", filter=condition) for name, condition in filled.items()} | {"people": Count("pk")}
    found: dict[str, int] = study.annotators.exclude(kind=Annotator.Kind.SIMULATED).aggregate(**wanted)
    return found


def _stored(study: Study, field: PersonalField, counts: dict[str, int]) -> StoredField:
    if field.table == "Annotator":
        is_random = field.column in ("token", "resume_code")  # always filled; after the erasure nobody was given them
        count = 0 if is_random and study.erased_at else counts[field.column]
    else:
        rows = apps.get_model("annotation", field.table).objects
        count = rows.filter(annotator__study=study).values("annotator").distinct().count()
    return StoredField(field.words, field.purpose, field.seen_by, count)


def _consent(manifest: Manifest, count: int) -> str:
    if not manifest.texts.consent:
        return "The study file holds no consent text: people are not asked for consent here."
    return f"People agree to the consent text of the study file before they vote; {count} did so."


def _rights(manifest: Manifest) -> tuple[str, ...]:
    until = manifest.annotation.withdrawal_until
    when = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "at any time"
    return (
        f"Each person may withdraw on their own page, {when}, unless their link is erased before: all votes and "
        "answers are deleted.",
        "An owner erases one person on the tab Annotators, or the personal data of all on the tab Settings once the "
        "study is closed.",
    )


def as_markdown(record: DataRecord) -> str:
    """Return the record as one page of Markdown."""
    lines = [f"# Personal data in the study “{record.study}”", ""]
    lines += [f"State: {record.state}. People: {record.people}. Study file: SHA-256 {record.manifest_sha256}.", ""]
    lines += [record.notice, ""] if record.notice else []
    lines += ["## What is stored about a person", "", "| field | why | who may see it | people now |"]
    lines += ["| --- | --- | --- | --- |"]
    lines += [f"| {one.name} | {one.purpose} | {one.seen_by} | {one.people} |" for one in record.personal]
    sections = {
        "What people are asked": [record.consent, *record.questions],
        "What stays without a name": record.kept,
        "What is not stored": record.not_stored,
        "How long": [record.retention],
        "Who has which role": [f"{name}: {role}" for name, role in record.roles] or ["admins of the installation only"],
        "How it is erased": record.rights,
        "Backups": [record.backups],
    }
    for title, sentences in sections.items():
        lines += ["", f"## {title}", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n"
