"""Look at the studies, and begin and end their notices. Everything here may run twice."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef

from annotation.models import Comparison, Notice, NoticeReceipt, NoticeSettings, Study, StudyShare
from annotation.models.notice import every_kind
from annotation.studies.lifecycle.pipeline_jobs import has_failed_jobs
from annotation.studies.lifecycle.quality_watch import alarms_of
from annotation.voting.availability import wanting_of
from annotation.voting.storage.sqlite_queue import in_turn

Kind, State = Notice.Kind, Study.State
MAKING = (State.GENERATING, State.SCORING)


class Condition(NamedTuple):
    """A condition that a notice tells of. See `Notice`."""

    study_id: int
    kind: str
    subject: str


def watch(now: datetime) -> int:
    """Begin a notice for each condition that holds and has none, and end those whose condition is over.

    Returns how many began. A condition that lasts gives one notice.
    """
    holding = dict(_conditions(list(Study.objects.exclude(state__in=Study.AT_REST).order_by("pk"))))
    going_on = {Condition(one.study_id, one.kind, one.subject): one for one in Notice.objects.filter(ended_at=None)}
    over = [one.pk for condition, one in going_on.items() if condition not in holding]
    new = {condition: words for condition, words in holding.items() if condition not in going_on}
    if over or new:
        _store(over, new, now)
    return len(new)


def _conditions(studies: Sequence[Study]) -> Iterator[tuple[Condition, str]]:
    """Yield each condition that holds, with its sentence. Counts only: nothing sealed."""
    for study in _complete([study for study in studies if study.state == State.OPEN]):
        yield Condition(study.pk, Kind.VOTES_COMPLETE, ""), "All votes are there: the study can be closed."
    for study in studies:
        if study.state in MAKING and has_failed_jobs(study):
            words = "Jobs failed, and the study waits for them. Its overview says why, and retries them."
            yield Condition(study.pk, Kind.JOBS_FAILED, ""), words
    for pk, alarms in alarms_of(studies).items():
        for alarm in alarms:
            yield Condition(pk, Kind.ALARM, str(alarm.rule)), str(alarm)[:500]


def _complete(studies: Sequence[Study]) -> list[Study]:
    """Return those studies whose comparisons have all their votes, with one query."""
    if not studies:
        return []
    own = Comparison.objects.filter(study=OuterRef("pk"))
    return list(
        Study.objects.filter(Exists(own), ~Exists(wanting_of(OuterRef("pk"))), pk__in=[one.pk for one in studies])
    )


@in_turn
def _store(over: Sequence[int], new: dict[Condition, str], now: datetime) -> None:
    Notice.objects.filter(pk__in=over, ended_at=None).update(ended_at=now)
    for condition, words in new.items():
        notice, is_new = Notice.objects.get_or_create(
            **condition._asdict(), ended_at=None, defaults={"words": words, "began_at": now}
        )
        if is_new:
            NoticeReceipt.objects.bulk_create(_receipts(notice, now))


def _receipts(notice: Notice, now: datetime) -> Iterator[NoticeReceipt]:
    """Yield a receipt for each account with a role in the study that wants one; for a study of the admins, for them."""
    shares = StudyShare.objects.filter(study=notice.study_id).values("account")
    people = User.objects.filter(is_active=True, is_staff=True)
    chosen = people.filter(pk__in=shares) if shares.exists() else people.filter(is_superuser=True)
    wanted = {one.account_id: one for one in NoticeSettings.objects.filter(account__in=chosen)}
    for account in chosen:
        own = wanted.get(account.pk)
        is_shown = notice.kind in (own.on_page if own else every_kind())
        is_mailed = bool(own and account.email and notice.kind in own.by_mail)
        if is_shown or is_mailed:
            due = now if is_mailed else None
            yield NoticeReceipt(notice=notice, account=account, is_shown=is_shown, mail_due_at=due)
