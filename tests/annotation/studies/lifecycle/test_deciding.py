"""Studies that stop when their claim is decided: the drawn order, what is complete, and the end of the voting."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from annotation.models import Annotator, Comparison, Import, Study, Vote
from annotation.studies.current import current_manifest
from annotation.studies.documents import document, sha256
from annotation.studies.evidence import largest_cluster, rivals
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.deciding import decision_so_far
from annotation.studies.lifecycle.periodic import maintain
from annotation.studies.lifecycle.transitions import advance
from annotation.voting.assignment import next_assignment
from annotation.voting.casting import Ballot
from jobs.refusals import Refused
from scoring.models import SetScore
from scoring.statistics.studies.sequential import decide
from tests.annotation.voting.open_studies import cast_vote
from tests.factories import give_vote, make_manifest, make_study

pytestmark = [pytest.mark.django_db]
DECIDED_AFTER = 8  # clusters that all speak for the claim; see test_sequential


def a_study(*, comparisons: int = 12, claim: str = "metric", **manifest: Any) -> Study:
    annotation = {"stop_when_decided": claim, "undo_seconds": 0, **manifest.pop("annotation", {})}
    return make_study(comparisons=comparisons, annotation=annotation, **manifest)


def answer(study: Study, *, turns: range, winner: str = "metric") -> None:
    """Fill the comparisons of these turns with votes for the metric's model, or for A."""
    for comparison in study.comparisons.filter(turn__in=turns):
        is_for_a = winner == "A" or comparison.position % 2 == 0
        counts = {"votes_a": 3, "votes_b": 0} if is_for_a else {"votes_a": 0, "votes_b": 3}
        Comparison.objects.filter(pk=comparison.pk).update(slot_count=3, vote_count=3, **counts)


def test_the_order_is_drawn_from_the_seed_and_stored() -> None:
    study = a_study()
    manifest = current_manifest(study)
    drawn = [comparison.turn or 0 for comparison in study.comparisons.order_by("position")]
    assert drawn == manifest.turns()
    assert sorted(drawn) == list(range(12))
    assert drawn != sorted(drawn)
    other = make_manifest(comparisons=12, annotation={"stop_when_decided": "metric"}, analysis={"seed": 8})
    assert other.turns() != drawn


def test_comparisons_of_a_cluster_share_their_turn() -> None:
    prompts = [{"text": f"prompt {number}", "cluster": "cats" if number < 4 else ""} for number in range(1, 9)]
    manifest = make_manifest(comparisons=8, prompts=prompts, annotation={"stop_when_decided": "models"})
    drawn = manifest.turns()
    assert drawn is not None
    assert len(set(drawn[:3])) == 1
    assert sorted(set(drawn)) == list(range(6))
    assert largest_cluster(manifest) == 3


def test_other_studies_have_no_turns_and_keep_their_hash() -> None:
    manifest = make_manifest()
    assert manifest.turns() is None
    assert make_study().comparisons.filter(turn__isnull=False).count() == 0
    assert "stop_when_decided" not in document(manifest)["annotation"]
    assert "constant_choice" not in document(manifest)["analysis"]
    assert sha256(manifest) == sha256(make_manifest(annotation={"stop_when_decided": ""}))


def test_annotators_get_the_drawn_order() -> None:
    study = a_study()
    annotator, rules, given = Annotator.objects.create(study=study), current_manifest(study).voting_rules(), []
    for _ in range(12):
        now = timezone.now()
        assignment = next_assignment(annotator=annotator, rules=rules, now=now).assignment
        assert assignment is not None
        given.append(study.comparisons.get(pk=assignment.comparison_id).turn)
        cast_vote(ballot=Ballot(uuid.uuid4(), "left"), assignment=assignment, rules=rules, now=now)
    assert given == list(range(12))


def test_the_voting_ends_as_soon_as_the_claim_is_decided() -> None:
    study = a_study(claim="models")
    answer(study, turns=range(DECIDED_AFTER - 1), winner="A")
    maintain(timezone.now())
    study.refresh_from_db()
    assert study.state == Study.State.OPEN
    answer(study, turns=range(DECIDED_AFTER), winner="A")
    maintain(timezone.now())
    study.refresh_from_db()
    assert study.state == Study.State.CLOSED
    assert study.events.get(verb="closed").detail == {
        "decided_after_clusters": DECIDED_AFTER,
        "verdict": "shown",
        "votes_saved": 3 * (12 - DECIDED_AFTER),
    }
    assert advance(study) == "nothing to do"


def test_a_gap_in_the_order_holds_up_all_that_follows() -> None:
    study = a_study()
    answer(study, turns=range(1, 12))
    assert decision_so_far(study, current_manifest(study), timezone.now()).better.e_value == 1.0
    assert advance(study) == "nothing to do"


def test_votes_that_may_be_undone_are_waited_for() -> None:
    study = a_study(claim="models", annotation={"undo_seconds": 600})
    answer(study, turns=range(12), winner="A")
    first = study.comparisons.get(turn=0)
    study.comparisons.filter(pk=first.pk).update(slot_count=2, vote_count=2)
    vote = give_vote(Annotator.objects.create(study=study), position=first.position)
    assert advance(study) == "nothing to do"
    Vote.objects.filter(pk=vote.pk).update(received_at=timezone.now() - timedelta(seconds=601))
    assert advance(study).startswith("closed: its claim is decided after 8 clusters")


def test_a_pause_or_half_an_import_holds_up_the_end_and_a_comparison_set_aside_the_evidence() -> None:
    study = a_study(claim="models")
    answer(study, turns=range(12), winner="A")
    Study.objects.update(state=Study.State.PAUSED)
    study.refresh_from_db()
    assert advance(study) == "nothing to do"
    Study.objects.update(state=Study.State.OPEN)
    source = Import.objects.create(study=study, kind=Import.Kind.VOTES, file_name="votes.csv", sha256="0" * 64)
    study.refresh_from_db()
    assert advance(study) == "nothing to do"
    source.delete()
    study.comparisons.filter(turn=5).update(parked_at=timezone.now(), vote_count=2, votes_a=2, slot_count=2)
    assert advance(study) == "nothing to do"
    assert decision_so_far(study, current_manifest(study), timezone.now()).decided_after is None
    study.comparisons.filter(turn=5).update(vote_count=3, votes_a=3, slot_count=3)
    assert advance(study).startswith("closed: its claim is decided after 8 clusters")


def test_a_metric_that_names_what_a_constant_choice_names_decides_nothing() -> None:
    study = a_study(comparisons=40)
    answer(study, turns=range(40), winner="A")  # the metric names A in every second comparison
    outcome = decision_so_far(study, current_manifest(study), timezone.now())
    assert outcome.verdict == "shown worse"  # than always naming A
    named = a_study(comparisons=40, slug="named", analysis={"constant_choice": "B"})
    answer(named, turns=range(40), winner="A")
    assert rivals(current_manifest(named)) == ("B",)
    assert decision_so_far(named, current_manifest(named), timezone.now()).verdict == "shown"


def test_a_comparison_whose_votes_are_all_excluded_is_no_evidence_and_keeps_its_place() -> None:
    """By strict credit a tie of the metric would agree with it: nobody was ahead."""
    study = a_study()
    answer(study, turns=range(12), winner="A")
    study.comparisons.filter(turn__lt=8).update(votes_a=0)
    for comparison in study.comparisons.filter(turn__lt=8):
        comparison.image_set_b.scores.update(value=comparison.image_set_a.scores.get().value)
    found = decision_so_far(study, current_manifest(study), timezone.now())
    assert (found.better.e_value, found.decided_after) == (1.0, None)
    voted = a_study(slug="voted", claim="models", comparisons=12)
    answer(voted, turns=range(12), winner="A")
    voted.comparisons.filter(turn=2).update(votes_a=0)
    assert decision_so_far(voted, current_manifest(voted), timezone.now()).decided_after == DECIDED_AFTER + 1


def test_votes_that_are_all_ties_and_a_single_comparison_decide_nothing() -> None:
    for claim in ("metric", "models"):
        tied = a_study(slug=f"tied-{claim}", claim=claim)
        answer(tied, turns=range(12), winner="A")
        tied.comparisons.update(votes_a=0, votes_tie=3)
        found = decision_so_far(tied, current_manifest(tied), timezone.now())
        assert (found.verdict, found.better.e_value, found.worse.e_value) == ("undecided", 1.0, 1.0)
        one = a_study(slug=f"one-{claim}", claim=claim, comparisons=1)
        answer(one, turns=range(1), winner="A")
        assert advance(one) == "nothing to do"


@pytest.mark.parametrize(
    ("value", "side"), [(None, "image_set_a"), (float("inf"), "image_set_b"), (1e300, "image_set_b")]
)
def test_a_comparison_without_a_usable_score_is_no_evidence_and_keeps_its_place(value: float | None, side: str) -> None:
    study = a_study(comparisons=40, analysis={"constant_choice": "B"})
    answer(study, turns=range(40))
    scores = SetScore.objects.filter(image_set=getattr(study.comparisons.get(turn=2), side))
    scores.update(value=value) if value else scores.delete()
    outcome = decision_so_far(study, current_manifest(study), timezone.now())
    # The metric gains where people prefer A, and on the third comparison nothing.
    rows = study.comparisons.order_by("turn").values_list("turn", "position")
    expected = decide([0.0 if turn == 2 else 1.0 - position % 2 for turn, position in rows], most=1.0, level=0.95)
    assert outcome == expected
    assert advance(study).startswith(f"closed: its claim is decided after {expected.decided_after} clusters")


def test_the_claim_about_the_models_needs_no_score() -> None:
    study = a_study(claim="models", has_scores=False)
    answer(study, turns=range(12), winner="A")
    assert decision_so_far(study, current_manifest(study), timezone.now()).verdict == "shown"


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody votes here"):
        make_manifest(source="external", annotation={"stop_when_decided": "metric"})
    with pytest.raises(ValueError, match=r"annotation\.allocation: has no effect beside stop_when_decided"):
        make_manifest(annotation={"stop_when_decided": "metric", "allocation": "split"})
    study = a_study()
    more = make_manifest(comparisons=12, annotation={"stop_when_decided": "metric", "undo_seconds": 0, "overlap": 5})
    with pytest.raises(Refused, match="cannot change in a study that stops when its claim is decided"):
        amend(study=study, manifest=more, reason="more votes")
