"""The overview of a study: its steps, the next one, and its comparisons by votes."""

import pytest
from django.test import Client
from django.utils import timezone

from annotation.models import Comparison, Study
from annotation.studies.lifecycle import overview
from annotation.studies.lifecycle.overview import cells, next_step, steps
from annotation.studies.lifecycle.progress import progress
from annotation.web.researcher.overview import cards
from tests.factories import make_study, put_in_state

pytestmark = pytest.mark.django_db


def test_a_study_stands_at_one_step_and_says_what_comes_next() -> None:
    study = make_study(state="draft")
    said = set()
    for state in Study.State.values:
        if state == "closing":
            Study.objects.filter(pk=study.pk).update(state=state, closed_at=timezone.now())
            study.refresh_from_db()
        else:
            put_in_state(study, state)
        counts = progress(study)
        found = [step.place for step in steps(study, counts)]
        assert found.count("now") == 1, state
        assert found == sorted(found, key=("done", "now", "later").index), state
        said.add(next_step(study, counts))
    assert len(said) == len(Study.State.values)
    assert steps(make_study(slug="external", source="external"), progress(study)) == ()


def test_nothing_is_to_do_while_a_worker_makes_images_and_nothing_needs_attention(
    researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(state="generating")
    assert "Nothing to do now" not in researcher.get(study.get_absolute_url()).content.decode(), "no worker is running"
    monkeypatch.setattr(cards, "missing_worker", lambda _study, _queues: "")
    other = make_study(slug="other", state="generating")
    assert "Nothing to do now" in researcher.get(other.get_absolute_url()).content.decode()


def test_each_comparison_is_a_cell_as_dark_as_its_votes(researcher: Client) -> None:
    study = make_study(comparisons=4, annotation={"overlap": 2})
    for position, votes in ((1, 1), (2, 2)):
        Comparison.objects.filter(position=position).update(vote_count=votes, slot_count=votes)
    Comparison.objects.filter(position=3).update(parked_at=timezone.now())
    found = cells(study)
    assert found.depths == ("0", "2", "5", "parked")
    assert found.counts == ("1 complete", "1 with 0 votes", "1 with 1 vote", "1 set aside")
    page = researcher.get(study.get_absolute_url()).content.decode()
    assert 'aria-label="1 complete, 1 with 0 votes, 1 with 1 vote, 1 set aside"' in page
    assert 'class="depth-parked"' in page


def test_many_comparisons_are_counts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_CELLS", 3)
    found = cells(make_study(comparisons=4))
    assert (found.depths, found.counts) == ((), ("4 with 0 votes",))
