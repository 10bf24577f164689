"""A pilot takes its prompts out of the study, keeps its people out of it, and shares its roles."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import Annotator, Comparison, Study
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.invitations import invite_all
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.pilot.making import make_pilot
from annotation.voting.annotators import Arrival, invite, join
from annotation.voting.availability import NoRoom, NoRoomLeft
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from tests.factories import give_vote, make_study, member, named, put_in_state

pytestmark = pytest.mark.django_db


def prompts_of(study: Study) -> set[str]:
    study.refresh_from_db()
    return {prompt.text for prompt in current_manifest(study).prompts}


@pytest.mark.parametrize("state", ["draft", "ready"])
def test_the_prompts_of_a_pilot_leave_the_study(state: str) -> None:
    study = make_study(state=state, comparisons=8, annotation={"overlap": 5, "early_stopping": True})
    editor, owner = member(study, "editor"), member(study, "owner")
    before, shown = prompts_of(study), dict(study.comparisons.values_list("prompt__text", "image_set_a"))
    pilot = make_pilot(study=study, prompts=3, overlap=2, actor=editor)
    assert (pilot.slug, pilot.state, pilot.pilot_of) == ("study-pilot", "draft", study)
    assert len(prompts_of(pilot)) == 3
    assert prompts_of(study) | prompts_of(pilot) == before
    assert not prompts_of(study) & prompts_of(pilot)
    plan = current_manifest(pilot).annotation
    assert (plan.overlap, plan.early_stopping, current_manifest(study).annotation.overlap) == (2, False, 5)
    assert dict(pilot.shares.values_list("account", "role")) == {editor.pk: "editor", owner.pk: "owner"}
    if state == "ready":
        kept = study.comparisons.order_by("position")
        assert list(kept.values_list("position", flat=True)) == list(range(5))
        assert set(kept.values_list("prompt__text", flat=True)) == prompts_of(study)
        plan_comparisons(study, current_manifest(study))
        assert kept.count() == 5, "nothing is missing"
        assert study.manifest_versions.latest("number").reason == "3 prompts left for the pilot study-pilot"
        plan_comparisons(pilot, current_manifest(pilot))
        again = dict(pilot.comparisons.values_list("prompt__text", "image_set_a"))
        assert again == {text: shown[text] for text in again}, "the same images, made once"
    assert make_pilot(study=study, prompts=2, actor=editor).slug == "study-pilot-2"


def test_clusters_stay_together_and_the_draw_is_repeatable() -> None:
    texts = [{"text": f"prompt {number}", "cluster": f"cluster {number // 3}"} for number in range(12)]
    drawn = []
    for _again in range(2):
        study = make_study(state="draft", prompts=texts)
        pilot = make_pilot(study=study, prompts=4)
        clusters = [{prompt.cluster for prompt in current_manifest(one).prompts} for one in (study, pilot)]
        assert not clusters[0] & clusters[1]
        drawn.append(prompts_of(pilot))
        Study.objects.all().delete()
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 6


def test_a_pilot_that_cannot_be_is_refused() -> None:
    study = make_study(state="ready", comparisons=4)
    for prompts, overlap, why in ((3, 3, "leaves as many"), (1, 3, "2 prompts or more"), (2, 0, "1 to")):
        with pytest.raises(Refused, match=why):
            make_pilot(study=study, prompts=prompts, overlap=overlap)
    pilot = make_pilot(study=study, prompts=2)
    with pytest.raises(Refused, match="is a pilot itself"):
        make_pilot(study=pilot)
    put_in_state(study, "open")
    with pytest.raises(Refused, match="is open: a pilot is made of a draft"):
        make_pilot(study=study)
    external = make_study(source="external", slug="external", comparisons=9)
    with pytest.raises(Refused, match="imported votes"):
        make_pilot(study=external)
    balanced = make_study(
        state="ready",
        slug="several",
        comparisons=6,
        models=named("A", "B", "C"),
        pairs={"design": "balanced", "per_prompt": 2, "seed": 1},
    )
    with pytest.raises(Refused, match="while it is a draft"):
        make_pilot(study=balanced)
    voted = make_study(state="ready", slug="voted", comparisons=6)
    give_vote(invite(study=voted, label="Ada"))
    with pytest.raises(Refused, match="comes before the first vote"):
        make_pilot(study=voted)
    assert Comparison.objects.filter(study__in=[balanced, voted]).count() == 18, "a refusal changes nothing"


def test_a_prompt_of_a_pilot_does_not_come_back_into_the_study() -> None:
    study = make_study(state="draft", comparisons=6)
    before = current_manifest(study)
    pilot = make_pilot(study=study, prompts=2)
    study.refresh_from_db()
    with pytest.raises(Refused, match=r"Pilot of Study has prompt \d, prompt \d too"):
        amend(study=study, manifest=before)
    both = current_manifest(pilot).model_copy(update={"prompts": before.prompts})
    with pytest.raises(Refused, match="Study has prompt"):
        amend(study=pilot, manifest=both)


def test_people_of_a_pilot_cannot_join_the_study() -> None:
    study = make_study(state="ready", comparisons=6)
    pilot = make_pilot(study=study, prompts=2)
    for one in (study, pilot):
        put_in_state(one, "open")
    import_free = current_manifest(pilot)
    plan_comparisons(pilot, import_free)
    now, rules = timezone.now(), current_manifest(study).voting_rules()
    of_platform = join(study=pilot, rules=rules, now=now, arrival=Arrival(external_id="p1"))
    of_device = join(study=pilot, rules=rules, now=now)
    invited, only_invited = invite(study=pilot, label="Ada"), invite(study=pilot, label="Bob")
    Annotator.objects.filter(pk=invited.pk).update(instructions_read_at=now)
    arrivals = [Arrival(external_id="p1"), Arrival(pilot_token=of_device.token), Arrival(pilot_token=invited.token)]
    for arrival in arrivals:
        with pytest.raises(NoRoomLeft) as refused:
            join(study=study, rules=rules, now=now, arrival=arrival)
        assert refused.value.reason == NoRoom.PILOT
    withdraw(annotator=of_platform, until=None, now=now)
    with pytest.raises(NoRoomLeft, match="took part in a pilot"):
        join(study=study, rules=rules, now=now, arrival=Arrival(external_id="p1"))
    with pytest.raises(Refused, match="labels: Ada took part in a pilot"):
        invite_all(study=study, labels=["Cleo", " ada"])
    assert not study.annotators.exists()
    assert len(invite_all(study=study, labels=["Cleo", "Bob"])) == 2, "Bob never came"
    assert join(study=study, rules=rules, now=now, arrival=Arrival(pilot_token=only_invited.token)).study == study
    assert join(study=study, rules=rules, now=now, arrival=Arrival(external_id="p2")).study == study


def test_the_command_makes_a_pilot() -> None:
    make_study(state="draft", comparisons=10, images_per_set=0)
    out = StringIO()
    call_command("pilot", "study", "--prompts", "4", "--format", "json", stdout=out)
    made = json.loads(out.getvalue())
    assert (made["slug"], made["pilot_of"], made["state"]) == ("study-pilot", "study", "draft")
    with pytest.raises(CommandError, match="leaves as many"):
        call_command("pilot", "study", "--prompts", "100", stdout=StringIO())
