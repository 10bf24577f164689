import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.statistics.people.dawid_skene import DawidSkene, dawid_skene
from tests.scoring.statistics.reading import votes_of_rows

PUBLISHED = ["000", "001", "111", "110", "011"]


def fitted(rows: list[str], **options: Any) -> DawidSkene:
    result = dawid_skene(votes_of_rows(rows), **{"ties_allowed": False, **options})
    assert isinstance(result, DawidSkene), result
    return result


def by_loops(rows: list[str], q: int, learn_prior: bool) -> list[list[float]]:
    """The same iteration in plain Python."""
    posterior = [[row.count(str(k)) / sum(vote != "." for vote in row) for k in range(q)] for row in rows]
    prior, before = [1 / q] * q, -math.inf
    while True:
        if learn_prior:
            prior = [sum(row[k] for row in posterior) / len(rows) for k in range(q)]
        skill = []
        for j in range(len(rows[0])):
            table = [[4.0 if k == c else 1.0 for c in range(q)] for k in range(q)]
            for row, chance in zip(rows, posterior, strict=True):
                for k in range(q):
                    if row[j] != ".":
                        table[k][int(row[j])] += chance[k]
            skill.append([[cell / sum(line) for cell in line] for line in table])
        after, posterior = 0.0, []
        for row in rows:
            joint = [
                prior[k] * math.prod(skill[j][k][int(vote)] for j, vote in enumerate(row) if vote != ".")
                for k in range(q)
            ]
            posterior.append([weight / sum(joint) for weight in joint])
            after += math.log(sum(joint))
        for table in skill:
            after += sum((4 if k == c else 1) * math.log(table[k][c]) for k in range(q) for c in range(q))
        if abs(after - before) < 1e-10:
            return posterior
        before = after


def test_published_votes() -> None:
    result = fitted(PUBLISHED)
    assert result.posterior[:, 1] == pytest.approx([0.0179, 0.1187, 0.9824, 0.8829, 0.7719], abs=5e-5)
    assert result.winners.tolist() == [1, 1, -1, -1, -1]
    assert result.changed == 0
    assert result.warnings == ("fewer than 10 votes: 3 annotators",)


@settings(max_examples=20)
@given(st.lists(st.text("012.", min_size=4, max_size=4).filter(lambda row: row != "...."), min_size=4), st.booleans())
def test_equals_plain_loops(rows: list[str], learn_prior: bool) -> None:
    rows = ["0000", "1111", "2222", *rows]
    result = fitted(rows, ties_allowed=True, learn_prior=learn_prior)
    assert result.posterior == pytest.approx(np.array(by_loops(rows, 3, learn_prior)), abs=1e-7)


def test_renaming_the_models_mirrors_the_fit() -> None:
    rows = ["0010", "1110", "0.00", "11.1", "0101"]
    mirrored = [row.translate(str.maketrans("01", "10")) for row in rows]
    assert fitted(mirrored).posterior[:, ::-1] == pytest.approx(fitted(rows).posterior)


def test_an_even_split_is_a_tie_and_stays_one() -> None:
    result = fitted(["0011", "1100"])
    assert result.winners.tolist() == [0, 0]
    assert result.changed == 0


def test_a_skilled_minority_overrules_and_is_counted() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 200)
    votes = np.where(rng.random((200, 5)) < [0.97, 0.97, 0.55, 0.55, 0.55], truth[:, None], 1 - truth[:, None])
    result = fitted(["".join(map(str, row)) for row in votes])
    majority = (votes.sum(axis=1) > 2).astype(int)
    by_model = (result.winners == -1).astype(int)
    assert np.mean(by_model == truth) > np.mean(majority == truth)
    assert result.changed == int((by_model != majority).sum()) > 0
    assert 0.5 < np.diagonal(result.skill, axis1=1, axis2=2).min() < 0.6
    assert result.warnings == ()


def test_a_contrary_annotator_is_warned_of() -> None:
    rows = ["0001", "1110"] * 10
    assert fitted(rows).warnings == ("by the model, wrong on most comparisons of one winner: 1 annotator",)


def test_comparisons_without_votes_are_left_out() -> None:
    result = fitted(["000", "...", "011"])
    assert result.comparisons.tolist() == [0, 2]
    assert result.posterior.shape == (2, 2)


def test_a_class_without_votes_may_have_a_learned_prior_of_nothing() -> None:
    result = fitted(["000", "000"], learn_prior=True)
    assert result.posterior == pytest.approx(np.array([(1, 0), (1, 0)]))


@pytest.mark.parametrize(("rows", "count"), [([], 0), (["01", "11"], 2)])
def test_too_few_annotators(rows: list[str], count: int) -> None:
    reason = dawid_skene(votes_of_rows(rows), ties_allowed=False)
    assert reason == f"{count} annotator{'s' * (count != 1)}: the skills of fewer than 3 cannot be told apart"


def test_tie_votes_that_were_not_allowed_are_refused() -> None:
    with pytest.raises(ValueError, match="none were allowed"):
        dawid_skene(votes_of_rows(["012"]), ties_allowed=False)
