"""The API's operations on the annotators of a study: what each does, and what they are owed."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router
from pydantic import BaseModel

from annotation.reports.data.pseudonyms import names_for_staff
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.people.annotator_rows import AnnotatorRow, annotator_rows, with_counts
from annotation.studies.people.payment import MOST_PER_HOUR, PAYMENT_FIELDS, payments
from annotation.web.api import study_schemas as schemas
from annotation.web.api.pages import account_of, answer, gives, next_page, page_of, study_called
from jobs.refusals import Refused

router = Router(tags=["people and results"])


class AnnotatorOut(BaseModel):
    """An annotator. name: the label, or the report's pseudonym. situation: what they do now, or how far they came.

    held: comparisons on their screen or fetched ahead. seconds_per_vote: the median. reasons: why votes are excluded.
    """

    name: str
    kind: str
    situation: str
    last_seen_at: datetime | None
    votes: int
    quota: int
    held: int
    seconds_per_vote: float | None
    checks_passed: int
    checks_answered: int
    reasons: list[str]


class AnnotatorsOut(schemas.PageOut):
    """A page of the annotators, in the order of their arrival."""

    items: list[AnnotatorOut]


class PaymentOut(BaseModel):
    """The payment of a person. name: the platform's id, or the label. minutes: at work. code: which they were shown."""

    name: str
    state: str
    votes: int
    minutes: float
    code: str
    pay: float


class PaymentsOut(BaseModel):
    """The payments of all annotators at a pay per hour, without those who have withdrawn."""

    rate: float
    items: list[PaymentOut]


@router.get("/studies/{slug}/people", response=gives(AnnotatorsOut), operation_id="list_annotators", url_name="people")
def list_annotators(request: HttpRequest, slug: str, limit: int = 50, offset: int = 0) -> HttpResponse:
    """List the annotators: how far each one is, the seconds that a vote takes them, and the checks that they passed.

    Personal links and the ids of a recruiting platform are left out."""
    study = study_called(slug)
    people = with_counts(study.annotators.order_by("pk"))
    page, count = page_of(people, limit, offset), study.annotators.count()
    names = names_for_staff(study)
    rows = annotator_rows(study, current_manifest(study), page, names, timezone.now())
    items = [_annotator_out(row) for row in rows]
    return answer(AnnotatorsOut(count=count, next=next_page(request, limit, offset, count), items=items))


def _annotator_out(row: AnnotatorRow) -> AnnotatorOut:
    passed, answered = row.checks
    return AnnotatorOut(
        name=row.name,
        kind=row.annotator.kind,
        situation=row.situation,
        last_seen_at=row.last_seen,
        votes=row.vote_count,
        quota=row.quota,
        held=row.held_count,
        seconds_per_vote=row.seconds,
        checks_passed=passed,
        checks_answered=answered,
        reasons=list(row.reasons),
    )


@router.get("/studies/{slug}/payment", response=gives(PaymentsOut), operation_id="get_payment", url_name="payment")
def get_payment(request: HttpRequest, slug: str, rate: float) -> HttpResponse:
    """Return what to pay each annotator: the minutes at work times `rate`, a pay per hour, in its currency."""
    if not 0 <= rate <= MOST_PER_HOUR:
        raise Refused(f"rate: a pay per hour from 0 to {MOST_PER_HOUR:.0f}.")
    study = study_called(slug)
    record("payment downloaded", study=study, actor=account_of(request), fields=PAYMENT_FIELDS)
    items = [
        PaymentOut(
            name=one.name,
            state=one.state,
            votes=one.vote_count,
            minutes=round(one.minutes, 1),
            code=one.code,
            pay=one.pay(rate),
        )
        for one in payments(study, names_for_staff(study))
    ]
    return answer(PaymentsOut(rate=rate, items=items))
