"""What each annotator of a study does now, what they are owed, and the erasure of one of them."""

import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from annotation.models import (
    Annotator,
    Answer,
    Assignment,
    AuditEntry,
    RepeatableAnswer,
    ReportFileJob,
    Study,
    Vote,
    VotesByHour,
)
from annotation.reports.report_jobs import report_jobs
from annotation.reports.report_jobs.report_cache import (
    CachedReport,
    cached_report,
    current_file,
    finished_report,
    load_report,
    request_file,
)
from annotation.reports.report_jobs.report_jobs import request_report
from annotation.reports.report_jobs.retention import erase_annotator, erasure_effects, find_annotator
from annotation.studies.current import current_manifest
from annotation.studies.onboarding_plan import PlatformPlan
from annotation.studies.people.annotator_rows import AnnotatorRow, annotator_rows, with_counts
from annotation.studies.people.payment import completion_code, payments
from annotation.tasks import make_report
from annotation.voting.annotators import invite
from annotation.voting.quality.broken_rules import SEPARATOR
from jobs.refusals import Refused
from tests.annotation.reports.voted_studies import crossed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import give_vote, make_study

pytestmark = pytest.mark.django_db
NOW = timezone.now()
CODES = PlatformPlan(
    complete_code="DONE", screened_out_code="SCREENED", failed_checks_code="FAILED", study_full_code="FULL"
)


def row_of(study: Study, annotator: Annotator) -> AnnotatorRow:
    shown = list(with_counts(Annotator.objects.filter(pk=annotator.pk)))
    (row,) = annotator_rows(study, current_manifest(study), shown, {annotator.pk: "Ada"}, NOW)
    return row


def given(annotator: Annotator, kind: str, at: datetime, *, position: int = 0, **more: object) -> Assignment:
    return Assignment.objects.create(
        comparison=annotator.study.comparisons.get(position=position), annotator=annotator, kind=kind,
        state="released", left_model="a", leased_at=at, **more,
    )  # fmt: skip


def test_each_step_of_an_annotator_has_its_word() -> None:
    study = make_study()
    ada = invite(study=study, label="Ada")
    row = row_of(study, ada)
    assert (row.situation, row.last_seen) == ("invited", None)
    just_now = NOW - timedelta(minutes=2)
    Annotator.objects.filter(pk=ada.pk).update(welcomed_at=just_now)
    assert row_of(study, ada).situation == "reading"
    given(ada, "practice", just_now)
    assert row_of(study, ada).situation == "practising"
    given(ada, "main", just_now)
    row = row_of(study, ada)
    assert (row.situation, row.last_seen, row.is_active) == ("voting", just_now, True)
    Assignment.objects.update(leased_at=NOW - timedelta(minutes=11))
    Annotator.objects.filter(pk=ada.pk).update(welcomed_at=NOW - timedelta(minutes=12))
    assert row_of(study, ada).situation == "idle"
    for state, word in (("finished", "done"), ("screened_out", "screened out")):
        Annotator.objects.filter(pk=ada.pk).update(state=state)
        assert row_of(study, ada).situation == word


def test_once_the_voting_is_over_nobody_is_at_it() -> None:
    study = make_study(state="closed")
    ada, ben = (invite(study=study, label=name) for name in ("Ada", "Ben"))
    give_vote(ada)
    assert row_of(study, ada).situation == "not finished"
    assert row_of(study, ben).situation == "never came"


def test_pace_checks_and_reasons() -> None:
    study = make_study(quality={"instructed": 1, "ladder": [0.75, 0.25]})
    ada = invite(study=study, label="Ada")
    for position, time in enumerate((2000, 9000, 4000)):
        vote = give_vote(ada, position=position)
        Vote.objects.filter(pk=vote.pk).update(response_ms=time)
    answers = (("instructed", 0, "left", "left"), ("ladder", 1, "left", "right"), ("ladder", 0, "left", "right"))
    for kind, occurrence, known, choice in answers:
        check = given(ada, kind, NOW, occurrence=occurrence, known_choice=known)
        Vote.objects.create(assignment=check, choice=choice)
    Annotator.objects.filter(pk=ada.pk).update(broken_rules=SEPARATOR.join(("too_fast", "checks_failed")))
    row = row_of(study, ada)
    assert row.seconds == 4.0
    assert row.checks == (1, 2)  # the rung with a quarter of the images replaced is no check that counts
    assert (row.vote_count, row.quota) == (3, 3)
    assert len(row.reasons) == 2
    assert "too fast" in row.reasons[0]


def test_pay_follows_the_minutes_at_work_without_breaks() -> None:
    study = make_study(platform={"id_parameter": "ID", "complete_code": "DONE"})
    ada, ben = (invite(study=study, label=name) for name in ("Ada", "Ben"))
    gone = invite(study=study, label="Cleo")
    start = NOW - timedelta(hours=3)
    Annotator.objects.filter(pk=ada.pk).update(external_id="p1", welcomed_at=start, state="finished")
    for minutes, position in ((4, 0), (60, 1)):  # a break of 55 minutes between them
        vote = give_vote(ada, position=position)
        Assignment.objects.filter(pk=vote.assignment_id).update(leased_at=start + timedelta(minutes=minutes))
        Vote.objects.filter(pk=vote.pk).update(received_at=start + timedelta(minutes=minutes + 1))
    Annotator.objects.filter(pk=gone.pk).update(state="withdrawn", label="", withdrawn_at=NOW)
    (row,) = payments(study, {ada.pk: "Ada", ben.pk: "Ben"})  # Ben never came
    assert (row.name, row.state, row.vote_count, row.code) == ("p1", "finished", 2, "DONE")
    assert row.minutes == pytest.approx(6.0)
    assert row.pay(12.0) == pytest.approx(1.2)
    assert not list(payments(study, {})), "whoever joins while the file is written is in the next one"


@pytest.mark.parametrize(
    ("state", "screened", "votes", "code"),
    [
        ("finished", "", 3, "DONE"), ("finished", "", 0, "FULL"), ("screened_out", "comprehension", 0, "SCREENED"),
        ("screened_out", "attention", 2, "FAILED"), ("active", "", 2, ""),
    ],
)  # fmt: skip
def test_the_code_is_the_one_of_the_annotator_s_last_page(state: str, screened: str, votes: int, code: str) -> None:
    one = Annotator(state=state, screened_out_for=screened)
    assert completion_code(one, CODES, vote_count=votes) == code


def test_an_erasure_removes_the_person_from_votes_answers_and_stored_reports() -> None:
    study = make_voted_study(crossed([[4, 1], [1, 4]]))
    first = study.annotators.earliest("pk")
    Annotator.objects.filter(pk=first.pk).update(kind="personal", label="Ada Example", external_id="p-77")
    Answer.objects.create(annotator=first, page="comment", value="my phone is 0123", answered_at=NOW)
    job = request_report(study)
    before = finished_report(job)
    path = current_file(request_file(job, "figures"))
    assert before is not None
    assert path is not None
    first.refresh_from_db()
    said = " ".join(erasure_effects(first).removed)
    assert "the label, the platform's id" in said
    assert "1 answer" in said
    tombstone = erase_annotator(annotator=first)
    assert (tombstone.state, tombstone.label, Answer.objects.count()) == ("withdrawn", "", 0)
    assert not Vote.objects.filter(assignment__annotator=first).exists()
    assert not path.exists()
    assert finished_report(job) is None
    entry = AuditEntry.objects.get(verb="annotator erased")
    assert "Ada" not in json.dumps(entry.detail)
    assert ReportFileJob.objects.exists()
    after = finished_report(request_report(study))
    assert after is not None
    assert after != before
    with pytest.raises(Refused, match="nothing personal is left"):
        erase_annotator(annotator=tombstone)


def test_an_erasure_reaches_what_no_row_names() -> None:
    study, other = make_voted_study(crossed([[4, 1], [1, 4]])), make_study(slug="other", source="external")
    first = study.annotators.earliest("pk")
    Annotator.objects.filter(pk=first.pk).update(kind="personal", label="Ada")
    stored = cached_report(study).sha256  # as by the command
    kept = request_report(other)
    kept.refresh_from_db()
    account = User.objects.create_user("ida")
    for key, body in (("1", f'[{{"label": "Ada", "link": "/a/{first.token}/"}}]'), ("2", "[]")):
        RepeatableAnswer.objects.create(account=account, key=key, request_sha256="0" * 64, status=201, body=body)
    VotesByHour.objects.create(study=study, hour=NOW, vote_count=20, seen_at=NOW)
    first.refresh_from_db()
    erase_annotator(annotator=first)
    assert load_report(stored) is None
    assert finished_report(kept) is not None
    assert [answer.key for answer in RepeatableAnswer.objects.all()] == ["2"]
    assert not VotesByHour.objects.filter(study=study).exists()


def test_a_report_that_was_begun_before_an_erasure_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_voted_study(crossed([[4, 1], [1, 4]]))
    first = study.annotators.earliest("pk")
    Annotator.objects.filter(pk=first.pk).update(kind="personal", label="Ada")
    made: list[CachedReport] = []

    def slowly(*args: Any, **options: Any) -> CachedReport:
        report = cached_report(*args, **options)
        if not made:
            erase_annotator(annotator=Annotator.objects.get(pk=first.pk))
        made.append(report)
        return report

    monkeypatch.setattr(report_jobs, "cached_report", slowly)
    job = request_report(study)
    assert finished_report(job) is None
    make_report()
    job.refresh_from_db()
    report = finished_report(job)
    assert len(made) == 2
    assert load_report(made[0].sha256) is None
    assert report == made[1].report != made[0].report


def test_imported_votes_are_taken_back_with_their_file() -> None:
    study = make_voted_study(crossed([[4, 1], [1, 4]]))
    Annotator.objects.update(kind="imported")
    with pytest.raises(Refused, match="take the import back"):
        erase_annotator(annotator=study.annotators.earliest("pk"))


def test_an_annotator_is_found_by_label_id_or_pseudonym_and_by_nothing_else() -> None:
    study = make_study()
    ada, ben, other = (invite(study=study, label=name) for name in ("Ada", "Ben", "Ben"))
    Annotator.objects.filter(pk=ada.pk).update(external_id="p1")
    assert {find_annotator(study, name) for name in ("Ada", "p1", "P001")} == {ada}
    assert find_annotator(study, "P003") == other != ben
    for name, sentence in (("Ben", "Several annotators"), ("Zoe", "No annotator"), ("", "No annotator")):
        with pytest.raises(Refused, match=sentence):
            find_annotator(study, name)


def test_the_command_says_what_it_would_remove_before_it_does() -> None:
    study = make_study(slug="study")
    ada = invite(study=study, label="Ada")
    give_vote(ada)
    said = StringIO()
    call_command("erase_annotator", "study", "Ada", stdout=said)
    assert "\n  the label\n" in said.getvalue(), "one thing a line"
    assert "Would be removed (add --yes):" in said.getvalue()
    assert "1 vote" in said.getvalue()
    ada.refresh_from_db()
    assert ada.state == "active"
    said = StringIO()
    call_command("erase_annotator", "study", "Ada", yes=True, format="json", stdout=said)
    assert json.loads(said.getvalue())["vote_count"] == 1
    with pytest.raises(CommandError, match="No annotator of Study is called Ada"):
        call_command("erase_annotator", "study", "Ada", yes=True)


@pytest.mark.both_databases
def test_what_the_list_shows_of_an_annotator_is_found_without_reading_the_assignments_of_others() -> None:
    """On PostgreSQL the newest assignment of one person was looked for among those of all: a minute for a page."""
    study = make_study(comparisons=1)
    ada, *others = [invite(study=study, label=label) for label in "abcdefgh"]
    (comparison,) = study.comparisons.all()
    Assignment.objects.bulk_create(
        Assignment(
            comparison=comparison, annotator=one, state="released", left_model="a", leased_at=NOW, occurrence=number
        )
        for one in (ada, *others)
        for number in range(500)
    )  # fmt: skip
    shown = with_counts(Annotator.objects.filter(pk=ada.pk))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_assignment")
    plan = shown.explain()
    assert "SCAN annotation_assignment" not in plan, plan  # SQLite's word for reading all rows
    assert "Seq Scan on annotation_assignment" not in plan, plan
    assert "annotation_assignment_pkey" not in plan, plan
    assert row_of(study, ada).last_seen == NOW
