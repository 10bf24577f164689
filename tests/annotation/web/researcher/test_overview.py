"""The overview of a study: one snapshot for everybody who watches, its ETag, and what it never says while sealed."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import Assignment, Comparison, ImageReport, Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.progress import progress
from annotation.studies.sharing import Role
from annotation.voting.annotators import invite
from annotation.voting.overview_cache import overview_key
from annotation.voting.withdrawal import withdraw
from annotation.web.researcher.overview import cards as overview_cards
from scoring.models import ScoringJob
from tests.factories import give_vote, import_sets, make_study, member, put_in_state

pytestmark = pytest.mark.django_db
TABS = ("Overview", "Images", "Annotators", "Invitations", "Comparisons", "Report", "Settings", "History", "Sharing")


def address(study: Study) -> str:
    return f"{study.get_absolute_url()}live"


def test_a_page_that_watches_gets_304_until_something_changes(researcher: Client) -> None:
    study = make_study()
    first = researcher.get(address(study))
    again = researcher.get(address(study), headers={"If-None-Match": first["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    give_vote(invite(study=study, label="Ada"))
    cache.clear()  # as if five seconds had passed
    later = researcher.get(address(study), headers={"If-None-Match": first["ETag"]})
    assert later.status_code == 200
    assert later["ETag"] != first["ETag"]
    assert "1 of 9 votes" in later.json()["cards"]["next"]


def test_ten_watchers_cost_one_computation(monkeypatch: pytest.MonkeyPatch, researcher: Client) -> None:
    study, made = make_study(), []
    compute = overview_cards.overview_context

    def counting(*given: Any) -> dict[str, Any]:
        made.append(given)
        return compute(*given)

    monkeypatch.setattr(overview_cards, "overview_context", counting)
    viewer = Client()
    viewer.force_login(member(study, Role.VIEWER))
    answers = [client.get(address(study)) for client in (researcher, viewer) for _ in range(5)]
    assert len(made) == 1
    assert len({answer["ETag"] for answer in answers}) == 1


def test_while_a_snapshot_is_made_the_others_get_the_last_one(researcher: Client) -> None:
    study = make_study()
    old = overview_cards.snapshot_of(study)
    stale = replace(old, etag='"stale"', fresh_until=0.0)
    cache.set(overview_key(study.pk), stale)
    cache.set(f"{overview_key(study.pk)}-is-made", True)
    assert researcher.get(address(study))["ETag"] == '"stale"'
    cache.delete(f"{overview_key(study.pk)}-is-made")
    assert researcher.get(address(study))["ETag"] != '"stale"'


def test_the_label_of_an_erased_annotator_is_gone_at_once(researcher: Client) -> None:
    study, now = make_study(), timezone.now()
    ada = invite(study=study, label="Ada Lovelace")
    Assignment.objects.create(
        comparison=study.comparisons.earliest("pk"), annotator=ada, kind="practice", state="leased", left_model="a",
        leased_at=now, lease_expires_at=now + timedelta(minutes=1),
    )  # fmt: skip
    assert "Ada Lovelace" in researcher.get(address(study)).content.decode()
    withdraw(annotator=ada, until=None, now=timezone.now())
    assert "Ada Lovelace" not in researcher.get(address(study)).content.decode()


def test_a_failure_names_the_set_s_model_only_once_the_study_is_closed(researcher: Client) -> None:
    study = make_study(state="scoring", has_scores=False)
    image_set = study.comparisons.earliest("pk").image_set_a
    ScoringJob.objects.create(
        image_set=image_set,
        metric=current_manifest(study).encoder.metric,
        encoder={},
        state="failed",
        error=f"{image_set} has 1 of 2 images.",
    )
    assert progress(study).failures == (f"{image_set.prompt} has 1 of 2 images.",)
    now = timezone.now()
    Study.objects.update(state="closed", opened_at=now, closed_at=now)
    study.refresh_from_db()
    assert progress(study).failures == (f"{image_set} has 1 of 2 images.",)


def test_a_change_of_state_is_seen_at_once_and_loads_the_page_again(researcher: Client) -> None:
    study = make_study()
    before = researcher.get(address(study)).json()["version"]
    researcher.post(f"{study.get_absolute_url()}do/pause/")
    after = researcher.get(address(study)).json()
    assert after["version"] != before
    assert "Paused: nobody gets a comparison" in after["cards"]["next"]


@pytest.mark.parametrize("state", ["draft", "generating", "ready", "open", "closed"])
def test_queries_of_the_page_and_of_a_watcher(researcher: Client, state: str) -> None:
    study = make_study(state=state, quality={"too_fast": 0.01})
    researcher.get(study.get_absolute_url())
    with CaptureQueriesContext(connection) as page:
        researcher.get(study.get_absolute_url())
    with CaptureQueriesContext(connection) as watching:
        researcher.get(address(study))
    assert len(watching) <= 6
    assert len(page) < 12


def test_a_sealed_study_s_cards_are_the_same_for_either_outcome(researcher: Client) -> None:
    """Votes for A and votes for B give the same cards: nothing tells which model leads."""
    texts = []
    for choice in ("left", "right"):
        study = make_study(slug=f"study-{choice}")
        Study.objects.filter(pk=study.pk).update(opened_at=timezone.now() - timedelta(days=1))
        ada = invite(study=study, label="Ada")
        for position in range(3):
            vote = give_vote(ada, position=position)
            vote.choice = choice
            vote.save()
        lead = {"left": {"votes_a": 1, "votes_b": 0}, "right": {"votes_a": 0, "votes_b": 1}}[choice]
        Comparison.objects.filter(study=study).update(**lead)
        cards = researcher.get(address(study)).json()["cards"]
        texts.append(json.dumps(cards).replace(study.slug, "slug").replace(f"Study {choice}", "name"))
    assert texts[0] == texts[1]


def test_it_names_those_who_vote_now(researcher: Client) -> None:
    study, now = make_study(), timezone.now()
    for name, kind, spent in (("Ada", "main", 1), ("Ben", "practice", 2), ("Cleo", "main", -1)):
        Assignment.objects.create(
            comparison=study.comparisons.get(position=0), annotator=invite(study=study, label=name), kind=kind,
            state="leased", left_model="a", leased_at=now, lease_expires_at=now + timedelta(minutes=spent),
        )  # fmt: skip
    card = researcher.get(address(study)).json()["cards"]["annotators"]
    assert "Ada" in card
    assert "practising" in card
    assert "0 of 3" in card
    assert "Cleo" not in card  # her time is over
    assert "all 3" in card


def test_alarms_stand_above_the_numbers(researcher: Client) -> None:
    study = make_study()
    assert "set aside after reports" not in researcher.get(address(study)).json()["cards"]["alarms"]
    comparison = study.comparisons.get(position=0)
    held = Assignment.objects.create(
        comparison=comparison, annotator=invite(study=study, label="Ada"), state="reported", left_model="a",
        leased_at=timezone.now(),
    )  # fmt: skip
    image = comparison.image_set_a.images.earliest("pk")
    ImageReport.objects.create(assignment=held, image=image, kind="failed", reported_at=timezone.now())
    Comparison.objects.filter(pk=comparison.pk).update(parked_at=timezone.now())
    cache.clear()
    alarms = researcher.get(address(study)).json()["cards"]["alarms"]
    assert "One comparison is set aside after reports of images." in alarms
    assert f"{study.get_absolute_url()}reported/" in alarms
    assert "No worker is running" in alarms


PATHS = (
    *("", "images/", "reported/", "annotators/", "invitations/", "comparisons/", "report/", "settings/", "history/"),
    "sharing/",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_of_a_study_has_the_rail_and_marks_its_tab(researcher: Client, path: str) -> None:
    for state in ("open", "closed"):
        study = make_study(slug=f"study-{state}", state=state)
        page = researcher.get(study.get_absolute_url() + path).content.decode()
        rail = page.partition('<nav class="rail"')[2].partition("</nav>")[0]
        assert rail.count('aria-current="page"') == 1
        assert rail.count("<a ") >= len(TABS)


def test_flags_are_counted_without_a_model_until_the_study_closes(researcher: Client) -> None:
    """A warning that named the model would name the set with the flag on its contact sheet."""
    study = make_study()
    image = study.comparisons.get(position=0).image_set_a.images.earliest("pk")
    type(image).objects.filter(pk=image.pk).update(remark="plain")
    alarms = researcher.get(address(study)).json()["cards"]["alarms"]
    assert "Among the images: 1 of one colour." in alarms
    assert "images/?show=flagged" in alarms
    assert "Alpha" not in alarms
    put_in_state(study, "closed")
    assert "Look at Alpha / prompt 1" in researcher.get(address(study)).json()["cards"]["alarms"]


def test_a_draft_of_own_images_is_launched_after_they_are_there(researcher: Client) -> None:
    study = make_study(state="draft", source="images", comparisons=1)
    main_button = re.compile(r'<(?:a|button type="submit")[^>]* ?class="(?:button )?primary"[^>]*>([^<]+)<')
    assert main_button.findall(researcher.get(study.get_absolute_url()).content.decode()) == ["Upload images"]
    version = researcher.get(address(study)).json()["version"]
    for model in study.diffusion_models:
        import_sets(model, ["prompt 1"], 2)
    cache.clear()
    assert researcher.get(address(study)).json()["version"] != version
    assert main_button.findall(researcher.get(study.get_absolute_url()).content.decode()) == ["Launch"]


def test_an_open_study_asks_for_people_until_it_is_complete_and_then_to_be_closed(researcher: Client) -> None:
    study = make_study(comparisons=1, annotation={"overlap": 1})
    main_button = re.compile(r'<a class="button primary" href="[^"]*">([^<]+)</a>')
    page = researcher.get(study.get_absolute_url()).content.decode()
    assert main_button.findall(page) == ["Invite people"]
    version = researcher.get(address(study)).json()["version"]
    give_vote(invite(study=study, label="Ada"))
    cache.clear()
    assert researcher.get(address(study)).json()["version"] != version  # so the page that watches loads its buttons
    page = researcher.get(study.get_absolute_url()).content.decode()
    assert main_button.findall(page) == ["Close"]
