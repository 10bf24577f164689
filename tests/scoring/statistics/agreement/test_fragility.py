import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.statistics.agreement.agreement import people_winners
from scoring.statistics.agreement.fragility import agreement_fragility, agreement_without_each, lead_fragility
from scoring.statistics.votes.votes import Votes
from tests.scoring.statistics.reading import votes_of_rows

small = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=4)


def fewest_by_trying(counts: Any, is_turned: Any) -> int | None:
    """Find the fewest votes by trying every removal, comparison by comparison."""
    ways = [itertools.product(range(a + 1), range(b + 1)) for a, b, _ in counts]
    removed = [np.array(way) for way in itertools.product(*ways)]
    costs = [way.sum() for way in removed if is_turned(np.array(counts)[:, :2] - way)]
    return int(min(costs)) if costs else None


def test_published_leads() -> None:
    result = lead_fragility([(3, 2, 0), (3, 2, 0), (5, 0, 0), (2, 3, 0), (2, 2, 0)])
    assert (result.leader, result.lead, result.to_lose.votes, result.to_reverse.votes) == ("A", 2, 2, 3)
    unanimous = lead_fragility([(3, 0, 0)] * 3)
    assert (unanimous.to_lose.votes, unanimous.to_reverse.votes) == (9, None)
    assert unanimous.to_reverse.reason == "no removal of votes does it"


@settings(max_examples=60)
@given(small)
def test_the_lead_equals_trying_every_removal(counts: Any) -> None:
    result = lead_fragility(counts)
    lead = int(np.sign(np.array(counts)[:, 0] - np.array(counts)[:, 1]).sum())
    if not lead:
        assert (result.leader, result.to_lose.reason) == (None, "neither model leads")
        return

    def lead_of(left: Any) -> int:
        return int(np.sign(left[:, 0] - left[:, 1]).sum()) * (1 if lead > 0 else -1)

    assert result.lead == abs(lead)
    assert result.to_lose.votes == fewest_by_trying(counts, lambda left: lead_of(left) <= 0)
    assert result.to_reverse.votes == fewest_by_trying(counts, lambda left: lead_of(left) < 0)


@given(small)
def test_renaming_the_models_renames_the_leader(counts: Any) -> None:
    there, back = lead_fragility(counts), lead_fragility([(b, a, tie) for a, b, tie in reversed(counts)])
    assert back.leader == {"A": "B", "B": "A", None: None}[there.leader]
    assert (back.to_lose, back.to_reverse) == (there.to_lose, there.to_reverse)


@settings(max_examples=60)
@given(small.filter(lambda counts: all(map(any, counts))), st.data())
def test_the_agreement_equals_trying_every_removal(counts: Any, data: Any) -> None:
    metric = np.array(data.draw(st.lists(st.sampled_from((1, -1, 0)), min_size=len(counts), max_size=len(counts))))
    target = data.draw(st.sampled_from((0.3, 0.5, 0.75, 1.0)))
    people = people_winners(counts)
    result = agreement_fragility(counts, people, metric, target=target)
    if np.mean(people == metric) < target:
        assert result.reason == "the agreement is below the target already"
        return
    expected = fewest_by_trying(
        counts, lambda left: np.mean(np.sign(left[:, 0] - left[:, 1]) == metric) < target - 1e-12
    )
    assert result.votes == expected
    assert bool(result.reason) == (expected is None)


def test_people_must_be_those_of_the_counts() -> None:
    with pytest.raises(ValueError, match="signs of these counts"):
        agreement_fragility([(3, 1, 0)], [-1], [1], target=0.5)


@settings(max_examples=50)
@given(st.lists(st.text("012.", min_size=3, max_size=3), min_size=1, max_size=8), st.data())
def test_leaving_one_annotator_out_equals_doing_so(rows: list[str], data: Any) -> None:
    metric = data.draw(st.lists(st.sampled_from((1, -1, 0)), min_size=len(rows), max_size=len(rows)))
    expected = {}
    for j in range(3):
        without = [row[:j] + row[j + 1 :] for row in rows]
        kept = [(row, its) for row, its in zip(without, metric, strict=True) if row != ".."]
        if kept and any(row[j] != "." for row in rows):
            counts = [[row.count(choice) for choice in "012"] for row, _ in kept]
            expected[str(j)] = (np.mean(people_winners(counts) == [its for _, its in kept]), len(kept))
    result = agreement_without_each(votes_of_rows(rows), metric)
    assert {one.annotator: (pytest.approx(one.agreement), one.n) for one in result} == expected


def test_a_single_annotator_cannot_be_left_out() -> None:
    assert agreement_without_each(Votes.of([0, 1], [4, 4], [0, 1]), [1, 1]) == ()
    assert agreement_without_each(Votes.of([], [], []), [1]) == ()
