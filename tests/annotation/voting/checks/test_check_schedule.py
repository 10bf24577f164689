"""The places of checks among an annotator's comparisons: the same each time, spread, in their order."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from annotation.voting.checks.attention import planned_checks
from annotation.voting.rules import QualityRules

RULES = QualityRules(ladder=(0.75, 0.5, 0.25), repeats=3, instructed=1, first_check_after=3, repeat_distance=6)
seeds = st.integers(0, 2**63 - 1)


@given(seeds, st.integers(20, 200))
def test_every_check_has_its_place_before_the_last_comparison(seed: int, quota: int) -> None:
    plan = planned_checks(seed=seed, quota=quota, rules=RULES)
    assert plan == planned_checks(seed=seed, quota=quota, rules=RULES)
    assert Counter(check.kind for check in plan) == {"ladder": 3, "repeat": 3, "instructed": 1}
    places = [check.after for check in plan]
    assert places == sorted(places)
    assert places[0] >= 3
    assert places[-1] < quota
    for kind in ("ladder", "repeat", "instructed"):
        numbers = [check.occurrence for check in plan if check.kind == kind]
        assert numbers == list(range(len(numbers)))
    assert all(check.after > 6 for check in plan if check.kind == "repeat")


@given(seeds, st.integers(1, 12), st.integers(0, 6), st.integers(0, 4))
def test_short_studies_leave_repeats_out_rather_than_break(seed: int, quota: int, ladder: int, repeats: int) -> None:
    rules = replace(RULES, ladder=(0.5,) * ladder, repeats=repeats)
    plan = planned_checks(seed=seed, quota=quota, rules=rules)
    counts = Counter(check.kind for check in plan)
    assert counts["ladder"] == ladder
    assert counts["instructed"] == 1
    assert counts["repeat"] <= repeats
    assert all(0 <= check.after < quota for check in plan)


def test_the_checks_are_spread_and_differ_between_annotators() -> None:
    plans = [planned_checks(seed=seed, quota=70, rules=RULES) for seed in range(300)]
    assert len({tuple((check.kind, check.after) for check in plan) for plan in plans}) == 300
    for plan in plans:
        gaps = [later.after - earlier.after for earlier, later in pairwise(plan)]
        assert max(gaps) < 2 * 70 / 7, "no stretch without a check is twice a piece"
    instructed = Counter(next(n for n, check in enumerate(plan) if check.kind == "instructed") for plan in plans)
    assert len(instructed) == 7, "the instructed item comes first, last and anywhere between"


def test_no_checks_no_plan() -> None:
    assert planned_checks(seed=1, quota=50, rules=QualityRules()) == ()
    assert planned_checks(seed=1, quota=0, rules=RULES) == ()
