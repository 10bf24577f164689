"""The list of studies, and the page of API tokens."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from annotation.models import ApiToken, Notice
from tests.annotation.reports.voted_studies import Plan as VotedPlan
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import make_study, member

pytestmark = pytest.mark.django_db


def listed(client: Client, query: str = "") -> list[str]:
    page = client.get(f"/studies/{query}")
    assert page.status_code == 200
    return re.findall(r'<th scope="row"><a href="/studies/([a-z-]+)/"', page.content.decode())


def test_the_list_is_searched_filtered_and_without_the_archived(researcher: Client) -> None:
    for slug, state in (("old-cats", "closed"), ("cats", "open"), ("dogs", "draft")):
        make_study(slug=slug, state=state)
    assert listed(researcher) == ["dogs", "cats", "old-cats"]
    assert listed(researcher, "?words=CATS") == ["cats", "old-cats"]
    assert listed(researcher, "?state=draft") == ["dogs"]
    assert listed(researcher, "?state=nonsense&page=99") == ["dogs", "cats", "old-cats"]
    assert listed(researcher, "?owner=me") == ["dogs", "cats", "old-cats"]
    researcher.post("/studies/old-cats/archive/")
    assert listed(researcher) == ["dogs", "cats"]
    assert listed(researcher, "?archived=yes") == ["old-cats"]
    researcher.post("/studies/old-cats/archive/")
    assert listed(researcher, "?words=old") == ["old-cats"]
    assert "No study matches" in researcher.get("/studies/?words=birds").content.decode()


def test_the_list_says_how_far_a_study_is_what_was_found_and_what_needs_attention(researcher: Client) -> None:
    make_study(slug="cats", state="open", comparisons=2, annotation={"overlap": 3})
    study = make_voted_study(VotedPlan([["A", "A", "B"], ["B", "B", "B"]], [(2.0, 1.0), (2.0, 1.0)], slug="dogs"))
    Notice.objects.create(study=study, kind="jobs_failed", words="Jobs failed.", began_at=timezone.now())
    assert "chose the model" not in researcher.get("/studies/").content.decode()
    researcher.get("/studies/dogs/report/")
    page = researcher.get("/studies/").content.decode()
    assert "<span>0<small> of 6</small></span></td>" in page
    assert "SCS chose the model with more votes of people on 1 of 2 comparisons." in page
    assert '<span class="attention">Jobs failed.</span>' in page
    event = study.events.create(verb="scores taken back")
    assert "chose the model" not in researcher.get("/studies/").content.decode()
    event.delete()
    study.comparisons.filter(position=0).update(vote_count=2, votes_a=1)  # as after a withdrawal
    assert "chose the model" not in researcher.get("/studies/").content.decode()


def test_an_account_lists_what_is_shared_with_it() -> None:
    study, client = make_study(slug="cats"), Client()
    make_study(slug="dogs")
    client.force_login(member(study, "viewer"))
    assert listed(client) == ["cats"]
    assert listed(client, "?owner=me") == []
    assert "New study" not in client.get("/studies/").content.decode(), "this account may not make studies"


def test_without_a_study_the_page_says_who_makes_one(researcher: Client) -> None:
    assert 'href="/studies/new/"' in researcher.get("/studies/").content.decode()
    viewer = Client()
    viewer.force_login(User.objects.create_user("viewer", is_staff=True))
    assert "“Researcher who makes studies”" in viewer.get("/studies/").content.decode()


def test_a_token_is_shown_once_listed_and_revoked(researcher: Client) -> None:
    sent = {"name": "notebook", "scopes": ["read", "data"], "days": "30"}
    shown = re.search(r'value="(sem_[\w-]+)"', researcher.post("/tokens/", sent).content.decode())
    assert shown
    again = researcher.get("/tokens/").content.decode()
    assert shown[1] not in again
    assert "read, data" in again
    script = Client(headers={"authorization": f"Bearer {shown[1]}"})
    assert script.get("/api/v1/studies").status_code == 200
    other = Client()
    other.force_login(User.objects.create_user("other", is_staff=True))
    token = ApiToken.objects.get()
    assert "no such token" in other.post("/tokens/", {"revoke": token.pk}, follow=True).content.decode()
    researcher.post("/tokens/", {"revoke": token.pk})
    assert script.get("/api/v1/studies").status_code == 401


@pytest.mark.parametrize("wrong", [{"days": "0"}, {"days": "400"}, {"scopes": []}, {"scopes": ["all"]}, {"name": ""}])
def test_a_token_with_faults_is_not_made(researcher: Client, wrong: dict[str, object]) -> None:
    sent = {"name": "notebook", "scopes": ["read"], "days": "30"} | wrong
    assert researcher.post("/tokens/", sent).status_code == 400
    assert not ApiToken.objects.exists()
