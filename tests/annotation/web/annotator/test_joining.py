"""The open link: nothing is stored before a person takes part, each person once, and none joins a full study."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.db.models import F
from django.test import Client
from django.utils import timezone

from annotation.models import Annotator, Assignment, Comparison, Study
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.pilot.making import make_pilot
from annotation.voting.annotators import invite
from annotation.voting.assignment import next_assignment
from annotation.web.annotator import places
from tests.annotation.web.annotator.test_onboarding import FRAME, PLATFORM, TEXTS, Visitor
from tests.factories import give_vote, make_study, put_in_state

pytestmark = pytest.mark.django_db
ALL_THERE, ALL_HELD = "This study has everything that it needs", "This study is full at the moment"


def link_of(study: Study) -> str:
    return f"/join/{study.open_link_token}/"


def form_of(page: str) -> dict[str, str]:
    """Return the fields that the page's form sends."""
    return dict(re.findall(r'<input type="hidden" name="(consent_sha256|form)" value="([^"]*)">', page))


def fill(study: Study) -> None:
    """Give the study every vote that it needs."""
    Comparison.objects.filter(study=study).update(slot_count=F("overlap"), vote_count=F("overlap"))


@pytest.mark.parametrize("texts", [TEXTS, {"consent": "Agree?"}, {"welcome": "Hello."}, {}])
@pytest.mark.parametrize("platform", [PLATFORM, {}])
def test_a_look_stores_nothing_and_taking_part_stores_one_annotator(
    client: Client, texts: dict[str, str], platform: dict[str, Any]
) -> None:
    study = make_study(texts=texts, platform=platform)
    link = link_of(study) + ("?PROLIFIC_PID=p1" if platform else "")
    pages = [client.get(link).content.decode() for _look in range(3)]
    assert not Annotator.objects.exists()
    assert ("nothing has been recorded" in pages[0]) == bool(texts.get("consent"))
    assert "If you take part," in pages[0], "what taking part stores is said before"
    place = client.post(link, form_of(pages[0]))["Location"]
    annotator = Annotator.objects.get()
    assert place == f"/a/{annotator.token}/"
    assert annotator.consent_sha256 == current_manifest(study).texts.consent_sha256
    assert (annotator.welcomed_at is not None) == bool(texts)
    for again in (client.get(link), client.post(link, form_of(pages[1])), Client().post(link, form_of(pages[0]))):
        assert again["Location"] == place, "reload, another tab, and the form sent twice"
    assert Annotator.objects.count() == 1
    assert "nothing has been recorded" not in client.get(place).content.decode()


def test_a_consent_to_another_text_stores_nobody(client: Client) -> None:
    study = make_study(texts=TEXTS)
    for sent in ({}, {"consent_sha256": "0" * 64}):
        assert "<em>stop</em>" in client.post(link_of(study), sent).content.decode()
    assert not Annotator.objects.exists()


def test_a_form_id_that_is_not_ours_chooses_no_link(client: Client) -> None:
    study = make_study()
    for form in ("short", "x" * 22 + "!", "x" * 22):
        assert Client().post(link_of(study), {"form": form}).status_code == 302
    assert Annotator.objects.count() == 3
    assert not Annotator.objects.filter(token="x" * 22).exists(), "a form says no link"


def test_a_form_whose_annotator_withdrew_leads_to_the_same_page(client: Client) -> None:
    study = make_study(texts=TEXTS)
    sent = form_of(client.get(link_of(study)).content.decode())
    place = client.post(link_of(study), sent)["Location"]
    client.post(f"{place}withdraw/", {"confirmed": "yes"})
    assert Client().post(link_of(study), sent)["Location"] == place


def test_a_personal_link_says_nothing_of_consent_before_it_is_given() -> None:
    annotator = invite(study=make_study(texts=TEXTS), label="Ada")
    assert "nothing has been recorded" in Visitor(annotator).see()
    annotator.refresh_from_db()
    assert (annotator.welcomed_at, annotator.consent_sha256) == (None, "")


@pytest.mark.parametrize("platform", [PLATFORM, {}])
def test_a_full_study_lets_nobody_in_and_pays_nobody_for_nothing(client: Client, platform: dict[str, Any]) -> None:
    study = make_study(platform=platform, texts=TEXTS)
    fill(study)
    link = link_of(study) + ("?PROLIFIC_PID=p1" if platform else "")
    agreed = {"consent_sha256": current_manifest(study).texts.consent_sha256}
    for answer in (client.get(link), client.post(link, agreed)):
        page = answer.content.decode()
        assert ALL_THERE in page
        assert "DONE1" not in page
        assert ("https://platform.test/complete?cc=FULL5" in page) == bool(platform)
    assert not Annotator.objects.exists()


@pytest.mark.parametrize(
    "closed", [{"decided_at": timezone.now(), "lead": 3, "overlap": 3}, {"parked_at": timezone.now()}]
)
def test_comparisons_that_take_no_votes_want_none(client: Client, closed: dict[str, Any]) -> None:
    study = make_study()
    fill(study)
    assert ALL_THERE in client.get(link_of(study)).content.decode()
    last = Comparison.objects.filter(study=study, position=0)
    last.update(slot_count=2, vote_count=2)
    assert "Start" in client.get(link_of(study)).content.decode()
    last.update(**closed)
    assert ALL_THERE in client.get(link_of(study)).content.decode()


def test_what_others_hold_may_come_back(client: Client) -> None:
    study = make_study(comparisons=1, annotation={"overlap": 1}, platform=PLATFORM)
    rules, now = current_manifest(study).voting_rules(), timezone.now()
    next_assignment(annotator=invite(study=study, label="Ada"), rules=rules, now=now)
    link = link_of(study) + "?PROLIFIC_PID=p1"
    assert ALL_HELD in client.get(link).content.decode()
    refused = client.post(link)
    assert refused.status_code == 409
    assert "FULL5" not in refused.content.decode()
    assert "DONE1" not in refused.content.decode()
    assert Annotator.objects.count() == 1
    Assignment.objects.update(lease_expires_at=now - timedelta(seconds=1))
    assert "Start" in client.get(link).content.decode(), "the lease has ended"


def test_the_limit_of_annotators_is_applied_before_anyone_reads(client: Client) -> None:
    study = make_study(annotation={"most_annotators": 1}, platform=PLATFORM)
    client.post(f"{link_of(study)}?PROLIFIC_PID=p1")
    link = f"{link_of(study)}?PROLIFIC_PID=p2"
    assert ALL_HELD in client.get(link).content.decode(), "the first may still leave"
    Annotator.objects.update(state="finished")
    assert "cc=FULL5" in client.get(link).content.decode()


def test_an_annotator_of_a_full_study_is_told_before_reading_and_gets_its_code() -> None:
    study = make_study(texts=TEXTS, frame=FRAME, platform=PLATFORM, images_per_set=4)
    early, ready, done = (Visitor(invite(study=study, label=name)) for name in ("Ada", "Ben", "Cy"))
    ready.come_to_the_check()
    ready.send("check/", tries=0, check1="likeness", check2="sets")
    assert ready.next()["kind"] == "comparison"
    ready.send("stop/")
    give_vote(done.annotator)
    Annotator.objects.filter(pk=done.annotator.pk).update(state="finished")
    fill(study)
    page = early.see()
    assert ALL_THERE in page
    assert "cc=FULL5" in page
    assert ready.next() == {"kind": "done"}
    for _again in range(2):
        page = ready.see("end/")
        assert "cc=FULL5" in page, "practice is no vote"
        assert "DONE1" not in page
        assert "Is there anything you would like to say?" in done.see(), "who voted goes on as before"
    assert "cc=DONE1" in done.send("comment/", comment="")


def test_an_annotator_who_waited_in_vain_is_not_told_that_the_study_is_full() -> None:
    study = make_study(comparisons=1, annotation={"overlap": 1}, platform=PLATFORM)
    rules, now = current_manifest(study).voting_rules(), timezone.now()
    next_assignment(annotator=invite(study=study, label="Ada"), rules=rules, now=now)
    waited = Visitor(invite(study=study, label="Ben"))
    lease_before = {"instructions_read_at": now, "waiting_since": now - timedelta(seconds=rules.lease_seconds)}
    Annotator.objects.filter(pk=waited.annotator.pk).update(**lease_before)
    assert waited.next() == {"kind": "done"}
    page = waited.see()
    assert ALL_THERE not in page
    assert "cc=FULL5" in page


def test_a_full_study_that_wants_more_votes_lets_people_in_again(client: Client) -> None:
    study = make_study()
    fill(study)
    assert ALL_THERE in client.get(link_of(study)).content.decode()
    Comparison.objects.filter(study=study).update(overlap=4)
    assert client.post(link_of(study)).status_code == 302
    assert client.get(link_of(study)).status_code == 302
    assert places.DEVICE_COOKIE in client.cookies


def test_a_paused_study_promises_to_continue_to_its_annotators_only(client: Client) -> None:
    study = make_study(state="paused")
    kept = "Every vote you have made is saved. You can continue when the study opens again."
    stranger = client.get(link_of(study)).content.decode()
    assert "The researcher has paused it." in stranger
    assert kept not in stranger
    assert kept in client.get(f"/a/{invite(study=study, label='Ada').token}/").content.decode()


def pilot_and_study(comparisons: int = 5, **manifest: Any) -> tuple[Study, Study]:
    """An open study with an open pilot."""
    study = make_study(state="ready", comparisons=comparisons, **manifest)
    pilot = make_pilot(study=study, prompts=2)
    plan_comparisons(pilot, current_manifest(pilot))
    for one in (study, pilot):
        put_in_state(one, "open")
    return pilot, study


def test_the_browser_of_a_person_from_the_pilot_is_recognised(client: Client) -> None:
    pilot, study = pilot_and_study()
    link = client.post(link_of(pilot))["Location"]
    assert client.get(link_of(pilot))["Location"] == link, "the pilot knows its people by the same cookie"
    for page in (client.get(link_of(study)), client.get(f"/a/{invite(study=study, label='Ada').token}/")):
        assert "You took part in the pilot" in page.content.decode()
    assert client.post(link_of(study)).status_code == 409
    assert not study.annotators.filter(kind="open").exists()
    begun = invite(study=study, label="Bob")
    Annotator.objects.filter(pk=begun.pk).update(instructions_read_at=timezone.now())
    assert "You took part in the pilot" not in client.get(f"/a/{begun.token}/").content.decode()
    assert Client().get(link_of(study)).status_code == 200


def test_the_first_of_two_pilots_still_knows_a_person_who_went_on_to_the_second(client: Client) -> None:
    pilot, study = pilot_and_study(comparisons=9)
    put_in_state(study, "ready")
    second = make_pilot(study=study, prompts=2)
    plan_comparisons(second, current_manifest(second))
    put_in_state(second, "open")
    links = [client.post(link_of(one))["Location"] for one in (pilot, second)]
    assert pilot.annotators.count() == 1
    # A browser keeps a cookie for each path; the test's client has one for each name.
    client.cookies[places.DEVICE_COOKIE] = signed_place(pilot)
    assert client.get(link_of(pilot))["Location"] == links[0]
    Study.objects.filter(pk=study.pk).delete()
    assert client.get(link_of(pilot))["Location"] == links[0], "also without its study"


def signed_place(study: Study) -> str:
    return signing.get_cookie_signer(salt=places.DEVICE_COOKIE * 2).sign(study.annotators.get().token)


def test_a_platform_gets_the_code_of_a_full_study_for_a_person_from_the_pilot(client: Client) -> None:
    pilot, study = pilot_and_study(platform=PLATFORM)
    client.post(f"{link_of(pilot)}?PROLIFIC_PID=p1")
    assert not client.cookies, "the id is enough"
    page = Client().get(f"{link_of(study)}?PROLIFIC_PID=p1").content.decode()
    assert "You took part in the pilot" in page
    assert str(PLATFORM["study_full_code"]) in page
