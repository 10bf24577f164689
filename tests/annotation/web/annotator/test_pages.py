"""The annotator's pages as the server renders them: which page, in which language, and what they never reveal."""

import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from annotation.models import Annotator, Study
from annotation.voting.annotators import invite, join
from annotation.web.annotator import joining, places
from annotation.web.annotator.markdown import render
from annotation.web.annotator.next_page import NextPage, next_page
from tests.factories import give_vote, make_manifest, make_study, put_in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(slug="lighthouses")


@pytest.fixture
def annotator(study: Study) -> Annotator:
    return invite(study=study, label="Ada")


def due(annotator: Annotator, **annotation: object) -> NextPage:
    return next_page(annotator=annotator, manifest=make_manifest(annotation=annotation), now=timezone.now())


def test_the_link_leads_to_the_page_that_is_due(annotator: Annotator) -> None:
    hour = timedelta(hours=1)
    assert due(annotator) == NextPage.INSTRUCTIONS
    annotator.instructions_read_at = timezone.now()
    assert due(annotator) == NextPage.COMPARISONS
    assert due(annotator, opens_at=timezone.now() + hour) == NextPage.NOT_YET_OPEN
    assert due(annotator, closes_at=timezone.now() - hour) == NextPage.CLOSED
    for state, expected in (("ready", NextPage.NOT_YET_OPEN), ("paused", NextPage.PAUSED), ("closed", NextPage.CLOSED)):
        put_in_state(annotator.study, state)
        assert due(annotator) == expected
    annotator.state = Annotator.State.FINISHED
    assert due(annotator) == NextPage.STUDY_FULL, "finished without a vote: nothing was left"
    give_vote(annotator)
    assert due(annotator) == NextPage.END
    annotator.state = Annotator.State.WITHDRAWN
    assert due(annotator) == NextPage.WITHDRAWN


def test_reading_the_instructions_is_recorded_once(client: Client, annotator: Annotator) -> None:
    page = f"/a/{annotator.token}/"
    assert "Start the comparisons" in client.get(page).content.decode()
    assert client.get(f"{page}start/").status_code == 405
    client.post(f"{page}start/")
    annotator.refresh_from_db()
    first = annotator.instructions_read_at
    client.post(f"{page}start/")
    annotator.refresh_from_db()
    assert first is not None
    assert annotator.instructions_read_at == first
    assert 'id="sets"' in client.get(page).content.decode()
    assert "Back to the comparisons" in client.get(f"{page}instructions/").content.decode()


@pytest.mark.parametrize(("quota", "ladder"), [(60, [0.5]), (2, [0.5]), (1, [])])
def test_every_page_says_one_number_with_the_checks_in_it_and_it_stays(
    client: Client, quota: int, ladder: list[float]
) -> None:
    study = make_study(
        images_per_set=4,
        annotation={"comparisons_per_annotator": quota},
        quality={"ladder": ladder, "instructed": 1 if ladder else 0, "first_check_after": 1},
    )
    annotator = invite(study=study, label="Ada")
    most = min(quota, 3) + (len(ladder) + 1 if ladder else 0)
    said = "There is 1 comparison at most." if most == 1 else f"There are up to {most} comparisons."
    assert said in client.get(f"/a/{annotator.token}/").content.decode()
    client.post(f"/a/{annotator.token}/start/")
    api = f"/api/v1/annotators/{annotator.token}/"
    comparison = client.post(f"{api}next", {}, "application/json").json()
    for done in range(most):
        assert comparison["progress"] == {"done": done, "of": most}
        assert {held["progress"]["of"] for held in comparison["ahead"]} <= {most}
        assert said in client.get(f"/a/{annotator.token}/instructions/").content.decode()
        ballot = {"vote_id": str(uuid.uuid4()), "assignment": comparison["assignment"], "choice": "left"}
        comparison = client.post(f"{api}votes", ballot, "application/json").json()["next"]
    assert comparison == {"kind": "done"}
    assert (f"All {most} of your votes" if most > 1 else "Your 1 vote") in client.get(
        f"/a/{annotator.token}/"
    ).content.decode()


def test_an_annotator_who_was_screened_out_is_told_so(client: Client, annotator: Annotator) -> None:
    Annotator.objects.update(state=Annotator.State.SCREENED_OUT)
    assert "Your part in this study has ended" in client.get(f"/a/{annotator.token}/").content.decode()


@pytest.mark.parametrize("kind", [Annotator.Kind.SIMULATED, Annotator.Kind.IMPORTED])
def test_only_people_have_pages(client: Client, study: Study, kind: str) -> None:
    nobody = invite(study=study, label="robot", kind=kind)
    assert client.get(f"/a/{nobody.token}/").status_code == 404


def test_no_page_names_the_study_or_a_model(client: Client) -> None:
    study = make_study(slug="alpha-against-beta", name="Alpha against Beta")
    annotator = invite(study=study, label="Ada")
    pages = [
        f"/join/{study.open_link_token}/",
        *(f"/a/{annotator.token}/{page}" for page in ("", "instructions/", "end/")),
    ]
    for page in pages:
        text = client.get(page).content.decode().lower()
        assert "alpha" not in text, page
        assert "beta" not in text, page
    client.post(f"/a/{annotator.token}/start/")
    assert "alpha" not in client.get(f"/a/{annotator.token}/").content.decode().lower()


def test_pages_come_in_the_language_of_the_study(client: Client) -> None:
    study = make_study(texts={"language": "de"}, annotation={"ties": True})
    annotator = invite(study=study, label="Ada")
    answer = client.get(f"/a/{annotator.token}/", headers={"accept-language": "en"})
    assert answer["Content-Language"] == "de"
    assert '<html lang="de">' in answer.content.decode()
    assert "Welche Bildreihe ist einheitlicher?" in answer.content.decode()
    client.post(f"/a/{annotator.token}/start/")
    assert "Etwa gleich" in client.get(f"/a/{annotator.token}/").content.decode()


def test_a_language_that_is_not_spoken_falls_back_to_english(client: Client) -> None:
    annotator = invite(study=make_study(texts={"language": "xx"}), label="Ada")
    assert client.get(f"/a/{annotator.token}/", headers={"accept-language": "de"})["Content-Language"] == "en"


def test_the_study_s_own_texts_are_markdown_without_html(client: Client) -> None:
    texts = {"instructions": "# Look\n\n<script>alert(1)</script> **well**", "debrief": "It was about *lighthouses*."}
    annotator = invite(study=make_study(texts=texts), label="Ada")
    page = client.get(f"/a/{annotator.token}/").content.decode()
    assert "<h1>Look</h1>" in page
    assert "<strong>well</strong>" in page
    assert "<script>alert" not in page
    Annotator.objects.update(state=Annotator.State.FINISHED)
    give_vote(annotator)
    assert "<em>lighthouses</em>" in client.get(f"/a/{annotator.token}/").content.decode()


@pytest.mark.parametrize(
    "link", ["[x](javascript:alert(1))", "[x](data:text/html,hi)", "![x](https://elsewhere.test/a.png)"]
)
def test_markdown_makes_no_unsafe_link_and_no_picture(link: str) -> None:
    html = render(link)
    assert "javascript:" not in html.replace("[x](javascript:", "")
    assert "<img" not in html
    assert 'href="data:' not in html


def test_pages_are_never_cached_and_run_no_inline_script(client: Client, annotator: Annotator) -> None:
    answer = client.get(f"/a/{annotator.token}/")
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "unsafe-inline" not in answer["Content-Security-Policy"]


def test_the_device_cookie_is_out_of_reach_of_scripts_and_other_pages(client: Client, study: Study) -> None:
    link = f"/join/{study.open_link_token}/"
    cookie = client.post(link).cookies[places.DEVICE_COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", link)
    assert Annotator.objects.count() == 1
    client.post(link)
    assert Annotator.objects.count() == 1


def test_a_forged_device_cookie_is_ignored(client: Client, study: Study) -> None:
    rules = make_manifest().voting_rules()
    other = join(study=study, rules=rules, now=timezone.now())
    client.cookies[places.DEVICE_COOKIE] = other.token
    assert "Start" in client.get(f"/join/{study.open_link_token}/").content.decode()


def test_a_full_study_says_so(client: Client) -> None:
    study = make_study(annotation={"most_annotators": 1})
    link = f"/join/{study.open_link_token}/"
    assert client.post(link).status_code == 302
    answer = Client().post(link)
    assert answer.status_code == 409
    assert "Full at the moment" in answer.content.decode()
    assert Annotator.objects.count() == 1


def test_the_resume_code_forgives_how_it_is_typed_but_not_endless_guessing(client: Client, study: Study) -> None:
    cache.clear()
    annotator = join(study=study, rules=make_manifest().voting_rules(), now=timezone.now())
    code = annotator.resume_code
    answer = client.post("/resume/", {"code": f" {code[:5].lower()}-{code[5:]} "})
    assert (answer.status_code, answer["Location"]) == (302, f"/a/{annotator.token}/")
    answers = [client.post("/resume/", {"code": "WRONG"}).status_code for _ in range(joining.MOST_RESUME_TRIES)]
    assert answers == [400] * (joining.MOST_RESUME_TRIES - 1) + [429]
    assert "Too many tries" in client.post("/resume/", {"code": code}).content.decode()
    elsewhere = client.post("/resume/", {"code": code}, REMOTE_ADDR="203.0.113.7")
    assert elsewhere.status_code == 302
    cache.clear()


def test_a_failed_csrf_check_is_explained() -> None:
    answer = Client(enforce_csrf_checks=True).post("/resume/", {"code": "x"})
    assert answer.status_code == 403
    assert "The page was open too long" in answer.content.decode()


def test_a_fault_of_ours_is_said_in_words(
    client: Client, annotator: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("annotation.web.annotator.pages.markdown.render", broken)
    client.raise_request_exception = False
    answer = client.get(f"/a/{annotator.token}/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.content.decode()
    assert "RuntimeError" not in answer.content.decode()
