"""Notices: one for each occurrence, for the people of the study alone, on the page and by e-mail."""

from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db.models import F
from django.test import Client
from django.utils import timezone

from annotation.models import Comparison, Notice, NoticeReceipt, Study
from annotation.studies.mail.sending import MOST_TRIES, PAUSE, send_notices
from annotation.studies.notices import watching
from annotation.studies.notices.reading import choose, mark_read, notices_for, unread_count
from annotation.studies.notices.watching import watch
from jobs.refusals import Refused
from tests.annotation.studies.lifecycle.test_quality_watch import QUALITY, came
from tests.factories import make_study, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    """An open study with every vote."""
    study = make_study()
    fill(study)
    return study


def fill(study: Study) -> None:
    Comparison.objects.filter(study=study).update(slot_count=F("overlap"), vote_count=F("overlap"))


def test_a_condition_is_told_once_and_again_when_it_comes_back(study: Study) -> None:
    ada, now = member(study, "viewer"), timezone.now()
    colleague = User.objects.create_user("stranger", is_staff=True)
    assert [watch(now), watch(now)] == [1, 0]
    assert [one.notice.kind for one in notices_for(ada)] == ["votes_complete"]
    assert (unread_count(ada), unread_count(colleague)) == (1, 0)
    assert (mark_read(ada), unread_count(ada), notices_for(ada).count()) == (1, 0, 1)
    Comparison.objects.filter(study=study, position=0).update(vote_count=0)
    assert watch(now) == 0
    assert Notice.objects.get().ended_at == now
    fill(study)
    assert watch(now) == 1
    assert unread_count(ada) == 1
    study.shares.all().delete()
    assert unread_count(ada) == 0, "who has no role any more is not told any more"


def test_failed_jobs_and_alarms_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    alarming = make_study(quality=QUALITY)
    came(alarming, [""] * 40 + ["checks_failed"] * 10)
    failing = make_study(slug="failing", state="draft")
    Study.objects.filter(pk=failing.pk).update(state="generating")
    monkeypatch.setattr(watching, "has_failed_jobs", lambda study: study == failing)
    admin = User.objects.create_superuser("admin")
    assert watch(timezone.now()) == 2
    assert {one.kind: one.study for one in Notice.objects.all()} == {"alarm": alarming, "jobs_failed": failing}
    assert unread_count(admin) == 2, "studies without an account belong to the admins"
    assert watch(timezone.now()) == 0


def test_each_person_chooses_the_page_and_the_mail(study: Study) -> None:
    ada, grace = member(study, "owner"), member(study, "viewer")
    with pytest.raises(Refused, match="no e-mail address"):
        choose(account=ada, on_page=[], by_mail=["alarm"])
    User.objects.filter(pk=ada.pk).update(email="ada@lab.example")
    ada.refresh_from_db()
    choose(account=ada, on_page=[], by_mail=["votes_complete"])
    now = timezone.now()
    watch(now)
    assert (unread_count(ada), unread_count(grace)) == (0, 1)
    assert [send_notices(now), send_notices(now + PAUSE)] == [1, 0]
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ada@lab.example"], "Study: All votes are there")
    assert study.slug in sent.body


def test_a_mail_server_that_is_away_is_asked_again_and_then_no_more(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = member(study, "owner")
    User.objects.filter(pk=ada.pk).update(email="ada@lab.example")
    ada.refresh_from_db()
    choose(account=ada, on_page=["votes_complete"], by_mail=["votes_complete"])
    tried = []

    def fail(_self: EmailBackend, _mails: Any) -> int:
        tried.append(1)
        raise SMTPServerDisconnected

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    now = timezone.now()
    watch(now)
    for later in range(MOST_TRIES + 2):
        assert send_notices(now + later * (PAUSE + timedelta(seconds=1))) == 0
    assert len(tried) == MOST_TRIES
    assert NoticeReceipt.objects.get().mail_due_at is None
    assert unread_count(ada) == 1, "the page still says it"


def test_the_page_lists_and_stores_the_choice(study: Study, client: Client) -> None:
    client.force_login(member(study, "viewer"))
    assert "Nothing yet" in client.get("/notices/").content.decode()
    watch(timezone.now())
    assert 'aria-label="1 unread"' in client.get("/studies/").content.decode()
    assert "All votes are there: the study can be closed." in client.get("/notices/").content.decode()
    refused = client.post("/notices/", {"by_mail": ["alarm"]})
    assert (refused.status_code, "has no e-mail address" in refused.content.decode()) == (400, True)
    assert client.post("/notices/", {"on_page": ["alarm"]}).status_code == 302
    assert client.post("/notices/", {"read": "yes"}).status_code == 302
    assert 'aria-label="1 unread"' not in client.get("/notices/").content.decode()
