"""Erase one annotator for the researcher: do what a withdrawal does, and delete every stored report and file."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import Annotator, Contact, RepeatableAnswer, ReportFileJob, ReportJob, Study, Vote, VotesByHour
from annotation.models.personal_data import field_names
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.reports.report_jobs.report_cache import delete_report, stored_path, stored_reports
from annotation.studies.audit import record
from annotation.voting.annotators import PEOPLE
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from jobs.wording import counted


@dataclass(frozen=True, slots=True)
class ErasureEffects:
    """What an erasure removes, and what stays, as sentences."""

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
