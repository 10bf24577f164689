"""The best fixed order: against every order there is, and against the constant choice of two models."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.statistics.agreement.constant_choice import constant_choice
from scoring.statistics.ranking.fixed_order import MOST_MODELS, best_fixed_order

TABLES = st.integers(2, 5).flatmap(
    lambda k: st.tuples(*(arrays(np.int64, (k, k), elements=st.integers(0, 4)) for _ in range(2)))
)


@given(TABLES)
def test_no_order_is_better(tables: tuple[np.ndarray, np.ndarray]) -> None:
    wins, votes = (table * (1 - np.eye(len(table), dtype=np.int64)) for table in tables)

    def worth(order: tuple[int, ...]) -> tuple[int, int]:
        return tuple(int(np.triu(table[np.ix_(order, order)], 1).sum()) for table in (wins, votes))  # type: ignore[return-value]

    found = best_fixed_order(wins, votes)
    worths = {order: worth(order) for order in permutations(range(len(wins)))}
    greatest = max(worths.values())
    equal = [order for order, one in worths.items() if one == greatest]
    assert found.models == min(equal)
    assert (found.right, found.is_only, found.is_best) == (greatest[0], len(equal) == 1, True)
    assert found.place[list(found.models)].tolist() == list(range(len(wins)))


@pytest.mark.parametrize(("for_a", "for_b"), [(9, 4), (3, 8)])
def test_of_two_models_it_is_the_constant_choice(for_a: int, for_b: int) -> None:
    winners = [1] * for_a + [-1] * for_b + [0] * 2
    choice = constant_choice(winners, winners[::-1])
    table = np.array([[0, for_a], [for_b, 0]])
    found = best_fixed_order(table, table)
    assert choice.models == (("A", "B")[found.models[0]],)
    assert choice.agreement.value == pytest.approx(found.right / len(winners))


def test_many_models_are_ordered_by_comparisons_won_minus_lost() -> None:
    k = MOST_MODELS + 1
    wins = np.tril(np.full((k, k), 2), -1)
    found = best_fixed_order(wins, wins)
    assert found.models == tuple(range(k))[::-1]
    assert (found.is_best, found.right) == (False, k * (k - 1))


@pytest.mark.parametrize(("wins", "votes"), [([[0, 1]], [[0, 1]]), (np.zeros((2, 2)), np.zeros((3, 3)))])
def test_tables_that_do_not_fit_are_refused(wins: np.ndarray, votes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="square tables"):
        best_fixed_order(wins, votes)
