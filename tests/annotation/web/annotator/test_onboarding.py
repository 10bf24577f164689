"""The pages before and after the comparisons: their order, what is stored, and how annotators leave."""

import csv
import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from annotation.models import Annotator, Answer, Assignment, Study, Vote
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.amendments import amend
from annotation.voting.annotators import invite
from tests.factories import give_vote, make_researcher, make_study

pytestmark = pytest.mark.django_db
FRAME: dict[str, Any] = {
    "questions": [
        {"name": "age", "text": "How old are you?", "kind": "number", "required": True},
        {"name": "screen", "text": "On what?", "kind": "choice", "choices": ["a phone", "a laptop"]},
        {"name": "country", "text": "Where?"},
    ],
    "worked_examples": 2,
    "practice": 2,
    "check": [
        {"text": "What is asked?", "choices": ["beauty", "likeness"], "answer": "likeness"},
        {"text": "Of what?", "choices": ["sets", "images"], "answer": "sets"},
    ],
    "break_every": 2,
    "asks_comment": True,
}
PLATFORM = {
    "id_parameter": "PROLIFIC_PID",
    "other_parameters": ["STUDY_ID", "SESSION_ID"],
    "redirect_url": "https://platform.test/complete?cc={code}",
    "complete_code": "DONE1",
    "screened_out_code": "SCREEN2",
    "failed_checks_code": "FAILED3",
    "withdrawn_code": "GONE4",
    "study_full_code": "FULL5",
}
TEXTS = {"welcome": "# Welcome", "consent": "You may *stop* at any time.", "debrief": "It was about likeness."}
WRONG = {"check1": "beauty", "check2": "sets"}
RIGHT = {"check1": "likeness", "check2": "sets"}


@pytest.fixture
def study() -> Study:
    return make_study(frame=FRAME, platform=PLATFORM, texts=TEXTS, images_per_set=4)


@pytest.fixture
def annotator(study: Study) -> Annotator:
    return invite(study=study, label="Ada")


class Visitor:
    """An annotator's browser, without scripts."""

    def __init__(self, annotator: Annotator) -> None:
        self.annotator, self.client = annotator, Client()
        self.link = f"/a/{annotator.token}/"

    def see(self, path: str = "") -> str:
        return self.client.get(self.link + path, follow=True).content.decode()

    def send(self, path: str, **data: Any) -> str:
        return self.client.post(self.link + path, data, follow=True).content.decode()

    def next(self) -> dict[str, Any]:
        answer = self.client.post(f"/api/v1/annotators/{self.annotator.token}/next", {}, "application/json")
        return dict(answer.json())

    def vote(self, comparison: dict[str, Any]) -> dict[str, Any]:
        ballot = {"vote_id": str(uuid.uuid4()), "assignment": comparison["assignment"], "choice": "left"}
        url = f"/api/v1/annotators/{self.annotator.token}/votes"
        return dict(self.client.post(url, ballot, "application/json").json()["next"])

    def agree(self) -> str:
        return self.send("welcome/", consent_sha256=current_manifest(self.annotator.study).texts.consent_sha256)

    def practise(self) -> str:
        number = Assignment.objects.filter(annotator=self.annotator, kind="practice", state="voted").count()
        self.see()
        assignment = Assignment.objects.get(annotator=self.annotator, kind="practice", occurrence=number)
        return self.send("practice/", number=number, choice=assignment.known_choice)

    def come_to_the_check(self) -> str:
        self.agree()
        self.send("questions/", age="34")
        self.send("start/")
        self.practise()
        self.practise()
        return self.see()


def test_every_page_comes_in_its_order_and_is_there_after_a_reload(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    for _reload in range(2):
        assert "<em>stop</em>" in visitor.see()
    assert "How old are you?" in visitor.agree()
    instructions = visitor.send("questions/", age="34", screen="a phone")
    assert instructions.count('class="pair"') == 2
    assert "Practice 1 of 2" in visitor.send("start/")
    assert "That is right." in visitor.practise()
    assert "Practice 2 of 2" in visitor.see()
    visitor.practise()
    assert "What is asked?" in visitor.see()
    assert 'id="sets"' in visitor.send("check/", tries=0, **RIGHT)
    following = visitor.vote(visitor.next())
    assert following["kind"] == "comparison"
    assert following["ahead"] == [], "nothing is shown between this vote and the break"
    assert visitor.vote(following)["kind"] == "stopped"
    assert "Time for a break" in visitor.see()
    assert visitor.next()["kind"] == "stopped"
    assert 'id="sets"' in visitor.send("break/")
    assert visitor.vote(visitor.next())["kind"] == "done"
    assert "Is there anything you would like to say?" in visitor.see("end/")
    end = visitor.send("comment/", comment="Nice pictures.")
    assert "It was about likeness." in end
    assert 'href="https://platform.test/complete?cc=DONE1"' in end
    answers = Answer.objects.filter(annotator=annotator)
    assert list(answers.values_list("page", "name", "value")) == [
        *(("questions", name, value) for name, value in (("age", "34"), ("screen", "a phone"), ("country", ""))),
        *(("check", number, value) for number, value in (("1", "likeness"), ("2", "sets"))),
        ("comment", "", "Nice pictures."),
    ]


PAGES = {
    "welcome/": {},
    "questions/": {"age": "34"},
    "start/": {},
    "practice/": {"number": "0", "choice": "left"},
    "check/": {"tries": "0", **RIGHT},
    "break/": {},
    "comment/": {"comment": "first"},
}


def test_no_page_can_be_skipped_by_its_address(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    for path, data in PAGES.items():
        assert "<em>stop</em>" in visitor.send(path, **data), path
    for path in ("instructions/", "end/", "stop/"):
        assert "<em>stop</em>" in visitor.see(path), path
    assert visitor.next()["kind"] == "stopped"
    api = f"/api/v1/annotators/{annotator.token}/instructions-read"
    assert visitor.client.post(api, {}, "application/json").status_code == 409
    assert not Answer.objects.exists()
    assert not Assignment.objects.exists()
    annotator.refresh_from_db()
    assert (annotator.welcomed_at, annotator.instructions_read_at, annotator.check_passed_at) == (None, None, None)


def test_consent_is_kept_with_the_version_of_its_text(annotator: Annotator) -> None:
    visitor, study = Visitor(annotator), annotator.study
    old = current_manifest(study)
    visitor.see()
    texts = old.texts.model_copy(update={"consent": "Another text."})
    amend(study=study, manifest=old.model_copy(update={"texts": texts}), reason="clearer")
    assert "Another text." in visitor.send("welcome/", consent_sha256=old.texts.consent_sha256)
    assert Annotator.objects.filter(welcomed_at=None).exists(), "an outdated page is no consent"
    study.refresh_from_db()
    annotator.study = study
    visitor.agree()
    annotator.refresh_from_db()
    assert annotator.welcomed_at is not None
    assert annotator.consent_sha256 == texts.consent_sha256


def test_answers_that_do_not_fit_are_asked_again(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.agree()
    for wrong in ({}, {"age": "old"}, {"age": "34", "screen": "a watch"}, {"age": "34", "country": "x" * 1001}):
        assert 'role="alert"' in visitor.send("questions/", **wrong)
    assert not Answer.objects.exists()


def test_practice_says_which_set_was_the_other_one(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.agree()
    visitor.send("questions/", age="34")
    visitor.send("start/")
    assert visitor.client.get(visitor.link + "practice/0/").status_code == 404, "not answered yet"
    assignment = Assignment.objects.get(annotator=annotator)
    wrong = "right" if assignment.known_choice == "left" else "left"
    assert "It is the other set." in visitor.send("practice/", number=0, choice=wrong)
    assert "It is the other set." in visitor.see("practice/0/"), "a reload shows it again"
    for nonsense in ({"number": "7", "choice": "left"}, {"number": "1", "choice": "tie"}, {"number": "x" * 9}):
        assert "Practice 2 of 2" in visitor.send("practice/", **nonsense)


def test_the_second_failed_try_ends_it_and_a_form_sent_twice_is_one_try(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.come_to_the_check()
    assert 'role="alert"' in visitor.send("check/", tries=0, check1="beauty"), "unanswered is no try"
    for _twice in range(2):
        assert "one more try" in visitor.send("check/", tries=0, **WRONG)
    ended = visitor.send("check/", tries=1, **WRONG)
    assert "Your part in this study has ended" in ended
    assert "cc=SCREEN2" in ended
    assert Answer.objects.filter(page="check").count() == 4
    annotator.refresh_from_db()
    assert (annotator.state, annotator.screened_out_for) == ("screened_out", "comprehension")
    assert "cc=SCREEN2" in visitor.send("check/", tries=1, **RIGHT), "there is no third"


def test_right_at_the_second_try_is_right(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.come_to_the_check()
    visitor.send("check/", tries=0, **WRONG)
    assert 'id="sets"' in visitor.send("check/", tries=1, **RIGHT)


def test_each_outcome_has_its_own_code_and_no_other(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    codes = {code for name, code in PLATFORM.items() if name.endswith("_code")}

    def shown() -> set[str]:
        page = visitor.see()
        return {str(code) for code in codes if str(code) in page}

    assert shown() == set()
    Annotator.objects.update(state="screened_out", screened_out_for="attention")
    assert shown() == {"FAILED3"}
    Annotator.objects.update(state="screened_out", screened_out_for="comprehension")
    assert shown() == {"SCREEN2"}
    Annotator.objects.update(state="finished", screened_out_for="")
    assert shown() == {"FULL5"}, "nothing was left to vote on"
    give_vote(annotator)
    Answer.objects.create(annotator=annotator, page="comment", answered_at=timezone.now())
    assert shown() == {"DONE1"}
    visitor.send("withdraw/", confirmed="yes")
    assert shown() == {"GONE4"}


def test_withdrawing_asks_first_and_is_offered_on_every_page(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    assert f"{visitor.link}withdraw/" in visitor.see()
    visitor.come_to_the_check()
    visitor.send("check/", tries=0, **RIGHT)
    page = visitor.see()
    assert f"{visitor.link}withdraw/" in page
    visitor.vote(visitor.next())
    assert "Your 1 vote and all your answers" in visitor.see("withdraw/")
    assert "Your 1 vote and all your answers" in visitor.send("withdraw/"), "without the confirmation it asks again"
    assert Vote.objects.exists()
    assert "You have withdrawn" in visitor.send("withdraw/", confirmed="yes")
    assert not Vote.objects.exists()
    assert "You have withdrawn" in visitor.see("withdraw/")


WITHDRAWAL = {
    ("en", 0): "No vote of yours is saved. If you withdraw, every answer you gave is deleted at once.",
    ("en", 1): "Your 1 vote and all your answers will be deleted at once.",
    ("en", 2): "Your 2 votes and all your answers will be deleted at once.",
    ("de", 0): "Von Ihnen ist keine Stimme gespeichert. Wenn Sie zurücktreten, wird jede Ihrer Antworten",
    ("de", 1): "Ihre 1 Stimme und alle Ihre Antworten werden sofort gelöscht.",
    ("de", 2): "Ihre 2 Stimmen und alle Ihre Antworten werden sofort gelöscht.",
}


@pytest.mark.parametrize(("language", "votes"), WITHDRAWAL)
def test_the_page_says_what_a_withdrawal_deletes(language: str, votes: int) -> None:
    visitor = Visitor(invite(study=make_study(texts={"language": language}), label="Ada"))
    for position in range(votes):
        give_vote(visitor.annotator, position=position)
    page = visitor.see("withdraw/")
    assert WITHDRAWAL[language, votes] in page
    delete = {"en": "Delete my votes and withdraw", "de": "Meine Stimmen löschen und zurücktreten"}[language]
    assert (delete in page) == bool(votes)


def test_stopping_gives_back_what_is_held_from_the_comparisons_and_from_a_break(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.come_to_the_check()
    visitor.send("check/", tries=0, **RIGHT)
    held = Assignment.objects.filter(state="leased")
    for votes, said in enumerate(
        ("You have stopped for now", "Your 1 vote is saved.", "All 2 of your votes are saved.")
    ):
        assert visitor.vote(visitor.next()) if votes else visitor.next()
        assert held.exists()
        page = visitor.send("stop/")
        assert said in page
        assert "Continue" in page
        assert not held.exists()
        assert said in visitor.see("stop/"), "a reload says it again"
        assert set(annotator.study.comparisons.values_list("slot_count", "vote_count")) <= {(0, 0), (1, 1)}
    assert "Time for a break" in visitor.see(), "the link continues where it was"


def test_an_annotator_who_has_left_cannot_stop(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    Annotator.objects.update(state="screened_out")
    assert "Your part in this study has ended" in visitor.send("stop/")


def test_the_last_vote_is_undone_from_the_pages_that_follow_it(annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.come_to_the_check()
    visitor.send("check/", tries=0, **RIGHT)
    for _vote in range(2):
        visitor.vote(visitor.next())
    first, last = Vote.objects.filter(assignment__kind="main").order_by("received_at")
    assert "Time for a break" in visitor.see()
    assert f'value="{last.pk}"' in visitor.see()
    assert "Time for a break" in visitor.send("undo/", vote=first.pk), "only the last"
    assert 'id="sets"' in visitor.send("undo/", vote=last.pk)
    visitor.vote(visitor.next())
    visitor.send("break/")
    visitor.vote(visitor.next())
    comment = visitor.see()
    assert "Undo the last vote" in comment
    assert "Undo the last vote" in visitor.send("comment/", comment="Calm.")
    Vote.objects.update(received_at=timezone.now() - timedelta(seconds=31))
    assert "Undo the last vote" not in visitor.see()
    assert "You have finished." in visitor.send("undo/", vote=Vote.objects.filter(state="standing")[0].pk)
    states = Vote.objects.filter(assignment__kind="main").values_list("state", flat=True)
    assert sorted(states) == ["standing", "standing", "standing", "superseded"]


def test_a_closed_study_offers_no_undo(annotator: Annotator) -> None:
    Annotator.objects.update(state="finished")
    Answer.objects.create(annotator=annotator, page="comment", answered_at=timezone.now())
    give_vote(annotator)
    assert "Undo the last vote" in Visitor(annotator).see()
    Study.objects.update(state="closed", closed_at=timezone.now())
    assert "Undo the last vote" not in Visitor(annotator).see()


def test_withdrawing_ends_with_the_date(client: Client) -> None:
    soon = timezone.now() + timedelta(hours=1)
    study = make_study(annotation={"withdrawal_until": soon.isoformat()}, texts=TEXTS)
    visitor = Visitor(invite(study=study, label="Ada"))
    assert "deleted until" in visitor.see(), "the page that asks for consent says until when"
    assert "You can withdraw until" in visitor.see("withdraw/")
    past = make_study(slug="past", annotation={"withdrawal_until": "2026-01-01T00:00:00Z"})
    visitor = Visitor(invite(study=past, label="Ada"))
    assert "withdraw/" not in visitor.see()
    assert "It is too late to withdraw" in visitor.see("withdraw/")
    answer = visitor.client.post(f"{visitor.link}withdraw/", {"confirmed": "yes"})
    assert answer.status_code == 409
    visitor.annotator.refresh_from_db()
    assert visitor.annotator.state == "active"


def test_the_platforms_id_leads_to_one_annotator(client: Client, study: Study) -> None:
    link = f"/join/{study.open_link_token}/?PROLIFIC_PID=5f9aa&STUDY_ID=s1&SESSION_ID=v1"
    assert "the id that the platform gave you" in client.get(link).content.decode()
    assert not Annotator.objects.exists()
    agreed = {"consent_sha256": current_manifest(study).texts.consent_sha256}
    first = client.post(link, agreed)
    annotator = Annotator.objects.get()
    assert first["Location"] == f"/a/{annotator.token}/"
    assert (annotator.external_id, annotator.platform_parameters) == ("5f9aa", {"STUDY_ID": "s1", "SESSION_ID": "v1"})
    for again in (Client().get(link.replace("v1", "v2")), Client().post(link, agreed)):
        assert again["Location"] == f"/a/{annotator.token}/"
    other = client.post(link.replace("5f9aa", "5f9bb"), agreed)
    assert other["Location"] != first["Location"], "another person on the same device"
    assert Annotator.objects.count() == 2


@pytest.mark.parametrize("query", ["", "?PROLIFIC_PID=", "?PROLIFIC_PID=a%01b", "?PROLIFIC_PID=withdrawn:1"])
def test_without_a_valid_id_nobody_can_join(client: Client, study: Study, query: str) -> None:
    answer = client.post(f"/join/{study.open_link_token}/{query}")
    assert answer.status_code == 400
    assert "Something is missing in the link" in answer.content.decode()
    assert not Annotator.objects.exists()


def test_a_replacement_from_the_platform_can_join(client: Client) -> None:
    study = make_study(annotation={"most_annotators": 1}, platform=PLATFORM)
    link = f"/join/{study.open_link_token}/?PROLIFIC_PID="
    client.post(f"{link}first")
    first = Visitor(Annotator.objects.get())
    first.send("start/")
    first.next()
    assert client.post(f"{link}second").status_code == 409, "the only seat is taken"
    Annotator.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert client.post(f"{link}second").status_code == 409, "a comparison is on the first one's screen"
    client.force_login(make_researcher())
    sent = {"ids": "first\n\nnobody\n"}
    said = client.post(f"/studies/{study.slug}/returned/", sent, follow=True).content.decode()
    assert "2 comparisons released." in said
    assert "No annotator of this study has the id nobody." in said
    assert not study.comparisons.filter(slot_count__gt=0).exists()
    assert client.post(f"{link}second").status_code == 302
    assert first.next()["kind"] == "comparison", "an annotator who comes back continues"
    assert Annotator.objects.count() == 2


@pytest.mark.parametrize(("state", "status"), [("screened_out", 302), ("finished", 409), ("active", 409)])
def test_an_annotator_keeps_a_seat(client: Client, state: str, status: int) -> None:
    """An annotator of the open link keeps a seat until they finish: they may come back tomorrow."""
    study = make_study(annotation={"most_annotators": 1})
    client.post(f"/join/{study.open_link_token}/")
    Annotator.objects.update(state=state, created_at=timezone.now() - timedelta(days=1))
    assert Client().post(f"/join/{study.open_link_token}/").status_code == status


def test_a_researcher_frees_comparisons_and_downloads_answers(client: Client, annotator: Annotator) -> None:
    visitor = Visitor(annotator)
    visitor.come_to_the_check()
    visitor.send("check/", tries=0, **RIGHT)
    visitor.next()
    study = annotator.study
    free = f"/studies/{study.slug}/annotators/{annotator.pk}/free/"
    assert client.post(free).status_code == 302
    assert study.comparisons.filter(slot_count__gt=0).exists(), "a stranger frees nothing"
    client.force_login(make_researcher())
    assert f'action="{free}"' in client.get(f"/studies/{study.slug}/annotators/").content.decode()
    client.post(free)
    assert not study.comparisons.filter(slot_count__gt=0).exists()
    assert f'action="{free}"' not in client.get(f"/studies/{study.slug}/annotators/").content.decode()
    rows = list(csv.reader(io.StringIO(client.get(f"/studies/{study.slug}/answers.csv").content.decode())))
    assert rows[0] == ["annotator", "page", "question", "try", "answer", "answered_at"]
    assert rows[1][:5] == ["P001", "questions", "age", "1", "34"]
    assert len(rows) == 6
