"""Erase the personal data of a closed study: when its study file says so, or when an owner does it.

Votes stay, under pseudonyms. The work is done in slices, and if the process dies between two of them, the next
half-minute tick does it again.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import Annotator, Contact, RepeatableAnswer, ReportFileJob, ReportJob, Study, Vote, VotesByHour
from annotation.models.annotator import PEOPLE, withdrawal_marker
from annotation.models.personal_data import blank_columns, delete_personal_rows, field_names
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.reports.report_jobs.report_cache import delete_report, stored_path, stored_reports
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.uploads.receiving import delete_files
from annotation.voting.imports.import_runs import refuse_unfinished_import
from annotation.voting.storage.slices import in_slices
from annotation.voting.storage.sqlite_queue import in_turn
from annotation.voting.withdrawal import log_of, refuse_unfinished_withdrawal, withdraw
from jobs.refusals import Refused
from jobs.wording import counted

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 200
BY_DATE = "the date in the study file"
BY_OWNER = "an owner's decision"


def erase_due(now: datetime) -> None:
    """Erase the personal data of each closed study whose date has come. The tick calls it; safe to run twice."""
    due = Study.objects.filter(state=Study.State.CLOSED, erased_at=None, erases_at__lte=now).order_by("pk")
    for study in due:
        try:
            erase_personal_data(study=study, reason=BY_DATE)
        except Refused as refusal:
            logger.warning("erasing personal data of %s: %s", study.slug, refusal)
        except Exception:
            logger.exception("erasing personal data of %s failed", study.slug)


def erase_personal_data(*, study: Study, reason: str = BY_OWNER, actor: User | None = None) -> int:
    """Erase the personal data of a closed study's annotators, and return how many there are. It cannot be undone.

    Refused if the study is not closed, if it is done already, or while rows are being imported or removed.
    """
    if study.state != Study.State.CLOSED:
        raise Refused(
            f"{study} is not closed, and its annotators still need their links. Close it first, or erase one annotator."
        )
    if study.erased_at is not None:
        raise Refused(f"The personal data of {study} was erased on {study.erased_at:%Y-%m-%d}.")
    refuse_unfinished_import(study)
    refuse_unfinished_withdrawal(study)
    ids = list(study.annotators.order_by("pk").values_list("pk", flat=True))
    in_slices(ids, partial(_erase, study, _kept_labels(study)), most=MOST_AT_ONCE)
    # Hashes of platform ids, which erased pilots keep until here.
    Annotator.objects.filter(study__in=study.pilots.exclude(erased_at=None)).update(external_id="")
    # What the API keeps for a day, for invitations that are sent again, holds the open link beside the personal ones.
    RepeatableAnswer.objects.filter(body__contains=study.open_link_token).delete()
    for upload in study.uploads.filter(is_stored=True):
        delete_files(upload)  # files of votes name people
    delete_stored_reports(study)
    _note(study, reason, len(ids), actor)
    return len(ids)


def _kept_labels(study: Study) -> frozenset[int]:
    """Return the annotators whose label stays: a pseudonym of an earlier export, or a name of the study file itself.

    The study file says by such a name whose votes a metric has seen. Without the label they would count.
    """
    named = {name for leak in current_manifest(study).analysis.leaks_from.values() for name in leak.annotators}
    names = pseudonyms(study)
    labels = study.annotators.exclude(label="").values_list("pk", "label")
    return frozenset(pk for pk, label in labels if label in named or label == names[pk])


def _erase(study: Study, kept_labels: Collection[int], annotator_ids: Sequence[int]) -> None:
    columns: list[str] = []
    people = list(Annotator.objects.select_for_update().filter(pk__in=annotator_ids).order_by("pk"))
    for one in people:
        label, known_as = one.label, one.external_id
        columns = blank_columns(one)
        if known_as and study.pilot_of and not study.pilot_of.is_over:
            one.external_id = withdrawal_marker(study_id=study.pk, external_id=known_as)
        one.label = label if one.pk in kept_labels or one.is_simulated else ""
    Annotator.objects.bulk_update(people, columns)
    delete_personal_rows(annotator_ids)
    log_of(annotator_ids).update(object_repr="an annotator")


@in_turn
def _note(study: Study, reason: str, count: int, actor: User | None) -> None:
    if Study.objects.filter(pk=study.pk, erased_at=None).update(erased_at=timezone.now()):
        detail = {"fields": field_names(), "annotators": count, "reason": reason}
        record("personal data erased", study=study, actor=actor, **detail)
    study.refresh_from_db()


def retention_effects(study: Study) -> tuple[list[str], list[str]]:
    """Return what an erasure removes and what it keeps, as sentences."""
    removed = [
        f"of every annotator: {', '.join(field_names())}",
        "stored reports, bundles and uploaded files of the study; reports are made again, with the same numbers",
    ]
    kept = [
        "the votes, with their times, under the pseudonyms that every file of the study has (P001, P002 …)",
        "the times at which people came, agreed to the consent (with its hash) and finished",
        "the history, which names personal fields and never holds their values",
    ]
    if any(leak.annotators for leak in current_manifest(study).analysis.leaks_from.values()):
        kept.append("the names of annotators in the study file (analysis.leaks_from), which cannot change any more")
    if study.pilot_of and not study.pilot_of.is_over:
        kept.append(
            "a hash in place of each platform id, which keeps these people out of the study that this is a pilot of, "
            "until that study's data is erased; people who came without a platform id are not recognised any more"
        )
    kept.append("files that were downloaded before, and backups: these are yours to delete")
    return removed, kept


# --- erasure of one person ----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ErasureEffects:
    """Return sentences on the data that an erasure removes, and on those that stay."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def erasure_effects(annotator: Annotator) -> ErasureEffects:
    """Return what the erasure of an annotator removes and keeps."""
    votes = Vote.objects.filter(assignment__annotator=annotator).count()
    answers = annotator.answers.count()
    personal = [
        words
        for words, value in (
            ("the label", annotator.label),
            ("the e-mail address, with the mails to it", Contact.objects.filter(annotator=annotator).exists()),
            ("the platform's id", annotator.external_id),
            ("the parameters of the platform's link", annotator.platform_parameters),
            ("the consent", annotator.consent_sha256),
        )
        if value
    ]
    removed = [
        counted(votes, "vote") + ", checks and practice included",
        counted(answers, "answer") + ", comments included",
    ]
    removed += [", ".join(personal)] if personal else []
    removed.append("the link and the resume code: they lead to a page that says that all votes and answers are deleted")
    removed.append("every stored report and file of the study; reports are made again without these votes")
    kept = ["a random id, the number of votes and the time of the erasure, which the report counts as a withdrawal"]
    if annotator.external_id:
        kept.append("a keyed hash of the platform's id, so that the same person cannot come back as another one")
    kept.append("files that were downloaded before, and backups: these are yours to delete")
    return ErasureEffects(tuple(removed), tuple(kept))


def erase_annotator(*, annotator: Annotator, actor: User | None = None) -> Annotator:
    """Erase an annotator at any time, also in a closed study, and return the tombstone. Doing it again is Refused."""
    if annotator.state == Annotator.State.WITHDRAWN:
        raise Refused("This annotator has withdrawn or was erased before: nothing personal is left.")
    if annotator.kind not in PEOPLE:
        raise Refused("These votes came from a file or a simulation: take the import back, or delete the study.")
    # What the API keeps for a day, for invitations that are sent again, holds the link and the label.
    RepeatableAnswer.objects.filter(body__contains=annotator.token).delete()
    tombstone = withdraw(annotator=annotator, until=None, now=timezone.now())
    delete_stored_reports(annotator.study)
    VotesByHour.objects.filter(study=annotator.study).delete()  # the tick counts the votes that stand
    record("annotator erased", study=annotator.study, actor=actor, fields=[*field_names(), "votes"])
    return tombstone


def delete_stored_reports(study: Study) -> None:
    """Delete the stored reports and files of a study; they are made again on request.

    Reports that the command or an interrupted job stored are named by no row. They may be of this study, so all of them
    are deleted.
    """
    of_others = set(ReportJob.objects.exclude(study=study).values_list("sha256", flat=True))
    for sha256 in stored_reports() - of_others:
        delete_report(sha256)
    for job in ReportFileJob.objects.filter(report_job__study=study).exclude(key=""):
        stored_path(job.key, job.name).unlink(missing_ok=True)


def find_annotator(study: Study, name: str) -> Annotator:
    """Return the annotator with this label, platform id or pseudonym. Raises Refused for none or several."""
    names = pseudonyms(study)
    people = study.annotators.order_by("pk")
    found = [one for one in people if name and name in (one.external_id, one.label, names.get(one.pk))]
    if len(found) != 1:
        which = "Several annotators of {} are" if found else "No annotator of {} is"
        hint = "give a label, a platform's id or a pseudonym such as P007"
        raise Refused(f"{which.format(study)} called {name}: {hint}.")
    return found[0]
