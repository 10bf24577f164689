"""Begin, continue, finish and remove an import. Files are stored in slices, so that votes are stored in between.

An import is all of a file or nothing: until it is finished, its study has no report, no export and cannot be closed,
and an import that fails is removed. If its process is killed, it stays UNFINISHED, and importing the same file again
completes it.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import F

from annotation.models import Import, Study, StudyEvent
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused
from jobs.wording import command


def unfinished_import(study: Study) -> Import | None:
    """The unfinished import of the study, or None."""
    return Import.objects.filter(study=study, state=Import.State.UNFINISHED).first()


def refuse_unfinished_import(study: Study) -> None:
    """Raise Refused while only a part of a file is in the study: a report or an export would show that part."""
    if source := unfinished_import(study):
        raise Refused(
            f"Only a part of {source.file_name} is in {study} at this moment. Wait until its import ends; if it was "
            f"stopped, import the same file again, or take it back: {command('take_back', study.slug, source.pk)}."
        )


def whole_imports(study: Study) -> list[tuple[object, ...]]:
    """Return what tells the imports of the study apart. Raises Refused as `refuse_unfinished_import`."""
    refuse_unfinished_import(study)
    return _imports_of(study)


def _imports_of(study: Study) -> list[tuple[object, ...]]:
    return list(Import.objects.filter(study=study).values_list("pk", "state", "row_count"))


class ImportsChanged(Refused):
    """An import began, ended or was taken back while the study was read, so what was read is mixed."""


def refuse_changed_imports(study: Study, before: list[tuple[object, ...]]) -> None:
    """Raise ImportsChanged if the study has other imports than `whole_imports` returned before."""
    if _imports_of(study) != before:
        raise ImportsChanged(f"A file was imported into {study}, or taken back, while its votes were read: try again.")


@in_turn
def begin(
    *, study: Study, kind: Import.Kind, path: Path, sha256: str, metric: str = "", actor: User | None = None
) -> Import:
    """Return a new import, or the unfinished one of the same file, which this process now works on.

    Raises Refused while another file is unfinished in the study.
    """
    # One at a time: a second process waits here, and then sees what the first one began.
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if kind == Import.Kind.VOTES and study.erased_at:
        raise Refused(
            f"The personal data of {study} was erased on {study.erased_at:%Y-%m-%d}: votes of a file would not be "
            "recognised as those of the same people. Make another study for them."
        )
    source = unfinished_import(study)
    if source is None:
        source = Import(study=study, kind=kind, sha256=sha256, metric=metric, file_name=path.name[:255], actor=actor)
    elif (source.kind, source.sha256, source.metric) != (kind, sha256, metric):
        refuse_unfinished_import(study)
    source.process, source.removal = secrets.token_hex(16), {}
    source.save()
    return source


def hold(source: Import) -> Study:
    """Lock the study for this slice and return it. Raises TakenOver if another process has taken the import over."""
    study = Study.objects.select_for_update(no_key=True).get(pk=source.study_id)
    if not Import.objects.filter(pk=source.pk, process=source.process, state=Import.State.UNFINISHED).exists():
        raise TakenOver(f"Another process goes on with the import of {source.file_name}, or has taken it back.")
    return study


def count_rows(source: Import, new_count: int) -> None:
    """Count the rows of a slice, within its transaction: a list may show the import before it is finished."""
    Import.objects.filter(pk=source.pk).update(row_count=F("row_count") + new_count)


class TakenOver(Refused):
    """Another process has taken the import over, so this one must leave its rows alone."""


@contextmanager
def removed_if_refused(source: Import, remove: Callable[[Import], None]) -> Iterator[None]:
    """Remove an import that is refused half-way. remove: removes its rows.

    Raises Refused also if a row was stored or removed by another import at the same moment.
    """
    try:
        yield
    except TakenOver:
        raise
    except (Refused, IntegrityError) as fault:
        remove(source)
        forget(source)
        if isinstance(fault, Refused):
            raise
        raise Refused(
            f"Nothing was imported from {source.file_name}: another import stored or removed the same rows at the same "
            "moment; try again."
        ) from None


@in_turn
def finish(source: Import, *, verb: str, row_count: int, detail: dict[str, object]) -> None:
    """Mark the import as done, with an event in the study's history."""
    hold(source)
    Import.objects.filter(pk=source.pk).update(state=Import.State.DONE, row_count=row_count, process="")
    whole = {"file": source.file_name, "sha256": source.sha256, **detail}
    StudyEvent.objects.create(study_id=source.study_id, verb=verb, detail=whole, actor=source.actor)


@in_turn
def reopen(source: Import) -> Import:
    """Begin to take an import back: it is UNFINISHED until that is done, and this process works on it."""
    Study.objects.select_for_update(no_key=True).get(pk=source.study_id)
    other = Import.objects.filter(study_id=source.study_id, state=Import.State.UNFINISHED).exclude(pk=source.pk)
    if other.exists():
        refuse_unfinished_import(source.study)
    source.process, source.state = secrets.token_hex(16), Import.State.UNFINISHED
    if not Import.objects.filter(pk=source.pk).update(process=source.process, state=source.state):
        raise Refused(f"The import of {source.file_name} was taken back already.")
    source.refresh_from_db(fields=["removal"])
    return source


@in_turn
def note_removal(source: Import, removal: dict[str, object]) -> None:
    """Store what the taking-back removes: a process that completes it sees only what is left."""
    hold(source)
    Import.objects.filter(pk=source.pk).update(removal=removal)


@in_turn
def forget(source: Import, *, events: Sequence[StudyEvent] = ()) -> None:
    """Remove an import whose rows are gone. events: for the history; none if the import was never completed."""
    hold(source)
    source.delete()
    for event in events:
        event.save()
