"""The researcher's pages: access, texts, buttons, and what stays sealed."""

import csv
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, Study
from annotation.reports.data.gathering import gather
from annotation.reports.report import build_report
from annotation.reports.report_jobs.downloads import render
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.transitions import close
from annotation.studies.study_file.reading import parse
from annotation.voting.annotators import invite
from annotation.voting.assignment import next_assignment
from tests.factories import give_vote, make_study, member

pytestmark = pytest.mark.django_db


def addresses(study: Study) -> list[str]:
    page = study.get_absolute_url()
    return ["/studies/", page, f"{page}study.toml", f"{page}invitations.csv", f"{page}do/close/"]


def test_a_viewer_only_looks(client: Client) -> None:
    study = make_study()
    client.force_login(member(study, "viewer"))
    page = client.get(study.get_absolute_url())
    assert page.status_code == 200
    assert "do/pause/" not in page.content.decode()
    assert client.post(f"{study.get_absolute_url()}do/pause/").status_code == 403
    assert "study.toml" not in page.content.decode()  # it contains the completion codes
    assert client.get(f"{study.get_absolute_url()}study.toml").status_code == 403
    study.refresh_from_db()
    assert study.state == "open"


def test_a_closed_study_invites_nobody(researcher: Client) -> None:
    invitation = "Create personal links"
    address = f"{make_study().get_absolute_url()}invitations/"
    assert invitation in researcher.get(address).content.decode()
    closed = make_study(slug="closed", state="closed")
    page = researcher.get(f"{closed.get_absolute_url()}invitations/").content.decode()
    assert invitation not in page
    assert "Nobody can be invited any more." in page
    people = researcher.get(f"{closed.get_absolute_url()}annotators/").content.decode()
    assert "Nobody joined this study through a link." in people


@pytest.mark.parametrize("platform", [{}, {"id_parameter": "ID"}])
def test_a_closed_study_shows_no_annotator_as_active(researcher: Client, platform: dict[str, str]) -> None:
    study = make_study(platform=platform)
    rules, now = current_manifest(study).voting_rules(), timezone.now()
    begun, _never = (invite(study=study, label=name) for name in ("Ada", "Ben"))
    give_vote(begun)
    next_assignment(annotator=begun, rules=rules, now=now)
    page = both_pages(researcher, study)
    for said in ("on screens now", "Release", ">voting<", ">invited<"):
        assert said in page
    close(study=study)
    page = both_pages(researcher, study)
    for said in ("on screens now", "Release", ">voting<", ">invited<", "Holds"):
        assert said not in page
    assert ">not finished<" in page
    assert ">never came<" in page
    assert progress(study).held_count == 0
    text = render(build_report(gather(study, manifest=current_manifest(study))), "txt")
    assert "not finished" in text
    assert not re.search(r"personal\s+active", text)


def both_pages(researcher: Client, study: Study) -> str:
    """Return the overview and the annotators, without the signs beside the states."""
    pages = [researcher.get(study.get_absolute_url() + path).content.decode() for path in ("", "annotators/")]
    return re.sub(r'<span class="dot[^"]*"></span>', "", "".join(pages))


def test_held_comparisons_are_counted_alike_everywhere_and_checks_nowhere(researcher: Client) -> None:
    study, now = make_study(comparisons=4), timezone.now()
    ada = invite(study=study, label="Ada")
    next_assignment(annotator=ada, rules=current_manifest(study).voting_rules(), now=now)
    held = ada.assignments.filter(state="leased")
    count = held.count()
    check = {"kind": "instructed", "state": "leased", "is_ahead": True, "left_model": "a"}
    comparison = study.comparisons.latest("position")
    ada.assignments.create(comparison=comparison, leased_at=now, lease_expires_at=now + timedelta(hours=1), **check)
    page = both_pages(researcher, study)
    assert f"{count} on screens now" in page
    assert f">Release {count}<" in page
    answer = researcher.post(reverse("free-annotator", args=[study.slug, ada.pk]), follow=True)
    assert count == 2
    assert "2 comparisons released." in answer.content.decode()
    assert not held.exists()
    assert progress(study).held_count == 0


def test_the_newest_study_stands_first_and_equal_ones_keep_an_order(researcher: Client) -> None:
    for name in ("first", "second", "third"):
        make_study(slug=name, state="draft")
    Study.objects.filter(slug__in=("second", "third")).update(created_at=timezone.now())
    page = researcher.get("/studies/").content.decode()
    assert re.findall(r'<a href="/studies/(first|second|third)/"', page) == ["third", "second", "first"]


def test_strangers_are_led_to_the_login_and_outsiders_find_nothing(outsider: Client) -> None:
    study = make_study()
    for address in addresses(study):
        answer = Client().get(address)
        assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")
        assert outsider.get(address).status_code == 404
    for post in (f"{study.get_absolute_url()}do/pause/", f"{study.get_absolute_url()}invitations/"):
        assert Client().post(post, {"count": 1}).status_code == 302
        assert outsider.post(post, {"count": 1}).status_code == 404
    study.refresh_from_db()
    assert (study.state, Annotator.objects.count()) == ("open", 0)


def test_without_a_study_the_list_says_what_to_do_first(researcher: Client) -> None:
    page = researcher.get("/studies/").content.decode()
    assert '<a class="button primary" href="/studies/new/">Make the first study</a>' in page
    assert "create_study" not in page  # what is typed at a shell is for admins


def test_the_list_names_each_study_with_its_state(researcher: Client) -> None:
    study = make_study(slug="lighthouses")
    page = researcher.get("/studies/").content.decode()
    assert study.get_absolute_url() in page
    assert "Lighthouses" in page


def test_the_study_page_counts(researcher: Client) -> None:
    page = researcher.get(make_study(comparisons=3).get_absolute_url()).content.decode()
    assert "12 <small>of 12</small>" in page
    assert "0 of 9 votes. People can vote now." in page
    assert "3 with 0 votes" in page


def test_no_question_is_asked_about_what_cannot_be_done(researcher: Client) -> None:
    study = make_study(state="closed")
    for answer in (researcher.get, researcher.post):
        response = answer(f"{study.get_absolute_url()}do/close/", follow=True)
        assert response.redirect_chain == [(study.get_absolute_url(), 302)]
        assert f"“Close” does nothing now: {study} is closed." in response.content.decode()


@pytest.mark.parametrize("state", ["draft", "ready", "open", "paused", "closed"])
def test_every_state_has_its_buttons(researcher: Client, state: str) -> None:
    offered = {"draft": {"launch"}, "ready": {"open", "close"}, "open": {"pause", "close"}, "paused": {"open", "close"}}
    page = researcher.get(make_study(state=state).get_absolute_url()).content.decode()
    verbs = {verb for verb in ("launch", "open", "pause", "close", "retry") if f"/do/{verb}/" in page}
    assert verbs == offered.get(state, set())


def test_a_button_does_what_it_says(researcher: Client) -> None:
    study = make_study()
    answer = researcher.post(f"{study.get_absolute_url()}do/pause/", follow=True)
    assert "Paused: annotators are told so" in answer.content.decode()
    study.refresh_from_db()
    assert study.state == "paused"
    event = study.events.get(verb="paused")
    assert event.actor is not None
    assert event.actor.username == "researcher"


def test_looking_at_an_action_s_address_does_nothing(researcher: Client) -> None:
    study = make_study()
    assert researcher.get(f"{study.get_absolute_url()}do/pause/").status_code == 200
    assert researcher.get(f"{study.get_absolute_url()}do/explode/").status_code == 404
    study.refresh_from_db()
    assert study.state == "open"


def test_closing_asks_first(researcher: Client) -> None:
    study = make_study()
    address = f"{study.get_absolute_url()}do/close/"
    give_vote(invite(study=study, label="Ada"))
    asked = researcher.post(address).content.decode()
    assert "It cannot be undone." in asked
    wanted = sum(study.comparisons.values_list("overlap", flat=True))
    assert f"The study has 1 of {wanted} votes." in asked
    study.refresh_from_db()
    assert study.state == "open"
    page = researcher.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "The voting has ended. The report is unsealed once the study is closed." in page
    study.refresh_from_db()
    assert study.state == "closed"


@pytest.mark.parametrize(
    ("state", "verb", "sentence"),
    [
        ("draft", "open", "Study cannot open: it is a draft; launch it first."),
        ("draft", "pause", "Study cannot be paused: it is a draft; launch it first."),
        ("draft", "retry", "Study has no failed jobs."),
        ("open", "launch", "Study is open: it was launched already, and nothing was done."),
    ],
)
def test_a_refused_action_says_why(researcher: Client, state: str, verb: str, sentence: str) -> None:
    study = make_study(state=state)
    answer = researcher.post(f"{study.get_absolute_url()}do/{verb}/", follow=True)
    assert sentence in answer.content.decode()
    assert not study.events.filter(verb="launched").exists()


def test_personal_links_are_made_by_number_or_by_label(researcher: Client) -> None:
    study = make_study()
    address = f"{study.get_absolute_url()}invitations/"
    researcher.post(address, {"count": 2, "labels": ""})
    answer = researcher.post(address, {"count": "", "labels": "Ada\n\n =2+3 \n"}, follow=True)
    assert "2 personal links created." in answer.content.decode()
    assert [str(one) for one in study.annotators.all()] == ["1", "2", "Ada", "=2+3"]
    rows = list(csv.DictReader(StringIO(researcher.get(f"{study.get_absolute_url()}invitations.csv").content.decode())))
    assert [row["label"] for row in rows] == ["1", "2", "Ada", "'=2+3"], "no label is a formula in a spreadsheet"
    links = [f"http://testserver/a/{annotator.token}/" for annotator in study.annotators.all()]
    assert [row["link"] for row in rows] == links


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"count": "", "labels": ""}, "Enter a number of links"),
        ({"count": "501", "labels": ""}, "less than or equal to 500"),
        ({"count": "", "labels": "x" * 201}, "A label can have at most 200 letters."),
        ({"count": "", "labels": "x\n" * 501}, "At most 500 links can be created at once."),
    ],
)
def test_a_faulty_invitation_makes_nothing(researcher: Client, sent: dict[str, str], said: str) -> None:
    study = make_study()
    answer = researcher.post(f"{study.get_absolute_url()}invitations/", sent)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not study.annotators.exists()


def test_the_study_file_is_the_study(researcher: Client) -> None:
    study = make_study(slug="lighthouses")
    text = researcher.get(f"{study.get_absolute_url()}study.toml").content.decode()
    assert parse(text, base=None).slug == "lighthouses"


def test_simulated_annotators_and_a_notice_stand_in_a_banner(researcher: Client) -> None:
    study = make_study(notice="Two models made of noise.")
    invite(study=study, label="robot", kind=Annotator.Kind.SIMULATED)
    page = researcher.get(study.get_absolute_url()).content.decode()
    assert "Two models made of noise." in page
    assert "1 annotator of this study is simulated" in page


def test_an_open_study_shows_no_score(researcher: Client) -> None:
    study = make_study()
    page = researcher.get(study.get_absolute_url()).content.decode()
    assert "Sealed: scores, votes by model and agreement are hidden" in page
    assert "80.0" not in page
    assert "70.0" not in page
