"""Write and read the audit. What a report prints is in `StudyEvent`; all other acts are in `AuditEntry`."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet

from annotation.models import AuditEntry, Study, StudyEvent
from generation.tables.formulas import marked


@dataclass(frozen=True, slots=True)
class Act:
    """An act as the history shows it. study: its slug; empty for an act on no study.

    actor: the account's name; empty for a command or the program.
    """

    happened_at: datetime
    study: str
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
    events, entries = StudyEvent.objects.filter(study=study), AuditEntry.objects.filter(study_id=study.pk)
    return _latest_first(events, entries)


def whole_history() -> list[Act]:
    """Return every act of the installation, the latest first: those on studies, also deleted ones, and all others."""
    return _latest_first(StudyEvent.objects.all(), AuditEntry.objects.all())


def _latest_first(events: QuerySet[StudyEvent], entries: QuerySet[AuditEntry]) -> list[Act]:
    return sorted([*_events(events), *_entries(entries)], key=lambda act: act.happened_at, reverse=True)


def _events(events: QuerySet[StudyEvent]) -> Iterator[Act]:
    for event in events.select_related("actor", "study"):
        actor = event.actor.get_username() if event.actor else ""
        yield Act(event.happened_at, event.study.slug, actor, event.verb, event.detail)


def _entries(entries: QuerySet[AuditEntry]) -> Iterator[Act]:
    for entry in entries:
        yield Act(entry.happened_at, entry.study_slug, entry.actor_name, entry.verb, entry.detail)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_csv(acts: Iterable[Act]) -> str:
    """Return acts as CSV: happened_at, study, actor, verb, detail (JSON). Formulas of spreadsheets are marked."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([field.name for field in fields(Act)])
    for act in acts:
        detail = json.dumps(act.detail, ensure_ascii=False)
        writer.writerow([act.happened_at.isoformat(), *map(marked, (act.study, act.actor, act.verb, detail))])
    return file.getvalue()


def as_json(acts: Iterable[Act]) -> str:
    """Return acts as a JSON list of objects with the same keys as the columns of `as_csv`."""
    return json.dumps([asdict(act) for act in acts], indent=1, ensure_ascii=False, default=_iso)


def _iso(moment: datetime) -> str:
    return moment.isoformat()
