"""Write and read the audit. What a report prints is in `StudyEvent`; all other acts are in `AuditEntry`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from annotation.models import AuditEntry, Study, StudyEvent


@dataclass(frozen=True, slots=True)
class Act:
    """An act on a study as its history shows it. actor: the account's name; empty for a command or the program."""

    happened_at: datetime
    actor: str
    verb: str
    detail: dict[str, Any]

    @property
    def words(self) -> str:
        """The detail as words: key and value, without keys that have none."""
        return "; ".join(f"{key.replace('_', ' ')}: {_value(value)}" for key, value in self.detail.items() if value)


def record(verb: str, *, study: Study | None = None, actor: User | None = None, **detail: Any) -> None:
    """Append an act to the audit. detail: names of personal fields, never their values."""
    AuditEntry.objects.create(
        study_id=study.pk if study else None,
        study_slug=study.slug if study else "",
        actor_id=actor.pk if actor else None,
        actor_name=actor.get_username() if actor else "",
        verb=verb,
        detail=detail,
    )


def history(study: Study) -> list[Act]:
    """Return every act on the study, the latest first: changes of the study, shares, downloads of personal data."""
    return sorted([*_events(study), *_entries(study)], key=lambda act: act.happened_at, reverse=True)


def _events(study: Study) -> Iterator[Act]:
    for event in StudyEvent.objects.filter(study=study).select_related("actor"):
        actor = event.actor.get_username() if event.actor else ""
        yield Act(event.happened_at, actor, event.verb, event.detail)


def _entries(study: Study) -> Iterator[Act]:
    for entry in AuditEntry.objects.filter(study_id=study.pk):
        yield Act(entry.happened_at, entry.actor_name, entry.verb, entry.detail)


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
