"""A forgotten password: the mail with a link, what a visitor learns about accounts (nothing), and the limits."""

import re
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from annotation.models import AuditEntry
from annotation.studies.mail import sending
from annotation.studies.mail.sending import MailServerAwayError
from annotation.tasks import mail_password_links
from jobs import messages

pytestmark = pytest.mark.django_db
ASK = "/accounts/password/reset/"
NEW = "a new and long password"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Messages to workers, instead of sending them."""
    found: list[Any] = []

    def send(message: Any) -> bool:
        found.append(message)
        return True

    monkeypatch.setattr(messages, "send", send)
    return found


def run(sent: list[Any]) -> None:
    """Do what a worker does with each message, twice, as for a message that came twice."""
    for message in sent:
        for _twice in range(2):
            current_app.tasks[message.task].run(*message.args)


def links() -> list[str]:
    return [re.findall(r"http://testserver(/\S+/)", str(one.body))[0] for one in mail.outbox]


def test_a_person_gets_a_link_and_logs_in_with_a_new_password(sent: list[Any]) -> None:
    User.objects.create_user("ada", email="Ada@lab.example", password="forgotten")
    client = Client()
    page = client.get("/accounts/login/?next=/studies/plan/").content.decode()
    assert f'href="{ASK}">Forgotten password<' in page
    answer = client.post(ASK, {"email": "ada@LAB.example"}, follow=True)
    assert "If an account has this address" in answer.content.decode()
    assert mail.outbox == []
    run(sent)
    first, _again = mail.outbox
    assert first.to == ["Ada@lab.example"]
    assert "for the account ada at http://testserver" in first.body
    assert AuditEntry.objects.filter(verb="password link mailed", detail__account="ada").count() == 2
    form = client.get(links()[0], follow=True)
    address = form.request["PATH_INFO"]
    short = client.post(address, {"password1": "ada", "password2": "ada"}).content.decode()
    assert "too short" in short
    done = client.post(address, {"password1": NEW, "password2": NEW}, follow=True)
    assert "Password set" in done.content.decode()
    assert 'class="messages"' not in done.content.decode() + client.get("/accounts/login/").content.decode()
    for link in links():
        assert "This link no longer works" in Client().get(link, follow=True).content.decode()
    assert not client.login(username="ada", password="forgotten")
    assert client.login(username="ada", password=NEW)


def test_a_visitor_learns_nothing_about_accounts(sent: list[Any]) -> None:
    User.objects.create_user("ada", email="ada@lab.example")
    User.objects.create_user("gone", email="gone@lab.example", is_active=False)
    User.objects.create_user("bare", email="")
    answers = set()
    for address in ("ada@lab.example", "gone@lab.example", "nobody@lab.example", "ada@l\u0131b.example"):
        cache.clear()
        answer = Client().post(ASK, {"email": address})
        answers.add((answer.status_code, answer.get("Location", ""), answer.content))
    assert len(answers) == 1, "the same for an account, a deactivated one, and none"
    assert len(sent) == 4, "and after the same work"
    run(sent)
    assert {tuple(one.to) for one in mail.outbox} == {("ada@lab.example",)}
    for odd in (
        "",
        "x",
        "a@b@c",
        "ada@lab.example\nBcc: evil@evil.example",
        "a" * 400 + "@lab.example",
        "a\0@b.example",
    ):
        assert Client().post(ASK, {"email": odd}).status_code == 200, "the form says what is wrong"
    assert len(sent) == 4


def test_one_address_gets_few_mails(sent: list[Any], settings: Settings) -> None:
    statuses = [Client(REMOTE_ADDR=f"1.2.3.{n}").post(ASK, {"email": "ada@lab.example"}).status_code for n in range(7)]
    assert statuses == [302] * 5 + [429] * 2, "five an hour, from wherever they are asked for"


def test_links_begin_with_the_address_of_the_site_and_not_with_what_a_visitor_sends(
    sent: list[Any], settings: Settings
) -> None:
    User.objects.create_user("ada", email="ada@lab.example")
    assert Client().post(ASK, {"email": "ada@lab.example"}, headers={"host": "evil.example"}).status_code == 400
    settings.SITE_URL = "https://semblance.lab.example/"
    Client().post(ASK, {"email": "ada@lab.example"})
    run(sent)
    assert "\nhttps://semblance.lab.example/accounts/password/reset/key/" in str(mail.outbox[0].body)


def test_a_mail_server_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user("ada", email="ada@lab.example")

    def away() -> None:
        raise MailServerAwayError

    monkeypatch.setattr(sending, "mail_server", away)
    assert not sending.send_password_links("ada@lab.example", "http://testserver")
    monkeypatch.setattr(mail_password_links, "retry", lambda: RuntimeError("a minute later"))
    with pytest.raises(RuntimeError, match="a minute later"):
        mail_password_links("ada@lab.example", "http://testserver")
    assert not AuditEntry.objects.exists()
