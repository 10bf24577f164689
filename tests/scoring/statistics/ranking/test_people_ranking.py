"""The ranking by people: published fits, another library, invariances, designs without a fit, simulated coverage."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import approx_fprime

from benchmarks.ranking_coverage import DESIGNS, holds, simulated_votes, true_strengths
from scoring.statistics.ranking.davidson import Layout, fit, log_likelihood
from scoring.statistics.ranking.model_votes import ModelVotes, pairwise_table
from scoring.statistics.ranking.people_ranking import PeopleRanking, people_ranking
from scoring.statistics.ranking.two_way_scores import two_way_covariance
from scoring.statistics.votes.counts import Floats
from tests.scoring.statistics.reading import bounds, value

STUDY = replace(DESIGNS[0], quality=(0.6, 0.2, -0.3, -0.5), prompts=12)
# Davidson (1970): six brands of chocolate pudding; i, j, preferred i, preferred j, no preference.
PUDDING = (
    *((1, 2, 19, 22, 16), (1, 3, 16, 19, 12), (2, 3, 19, 19, 10), (1, 4, 18, 23, 13), (2, 4, 23, 19, 9)),
    *((3, 4, 19, 20, 15), (1, 5, 13, 19, 18), (2, 5, 16, 20, 12), (3, 5, 16, 15, 17), (4, 5, 17, 14, 16)),
    *((1, 6, 18, 21, 12), (2, 6, 22, 20, 12), (3, 6, 13, 18, 10), (4, 6, 14, 19, 18), (5, 6, 11, 21, 12)),
)


def counted(rows: tuple[tuple[int, int, int, int, int], ...], models: int) -> ModelVotes:
    """Each vote with a comparison of its own; annotators by turns."""
    cast = [
        (left - 1, right - 1, choice)
        for left, right, *counts in rows
        for choice, count in zip((1, -1, 0), counts, strict=True)
        for _ in range(count)
    ]
    units = [(place, place % 7) for place in range(len(cast))]
    return ModelVotes.of(units, [row[:2] for row in cast], [row[2] for row in cast], model_count=models)


def strengths(found: PeopleRanking) -> list[float]:
    return [value(one) for one in found.strengths]


def test_two_models_with_ties() -> None:
    found = people_ranking(counted(((1, 2, 60, 30, 10),), 2))
    assert value(found.differences[0]) == pytest.approx(np.log(2), abs=1e-12)
    assert value(found.ties) == pytest.approx(10 / np.sqrt(60 * 30), abs=1e-12)


def test_the_published_fit_of_the_puddings() -> None:
    """Davidson's worths, as Turner et al. (2020), "Modelling rankings in R: the PlackettLuce package", print them from
    seven rounds of his iteration, which are not yet converged: hence four digits."""
    found = people_ranking(counted(PUDDING, 6))
    worths = np.exp(strengths(found))
    published = [0.1388005, 0.1729985, 0.1617420, 0.1653930, 0.1586805, 0.2023855]
    assert worths / worths.sum() == pytest.approx(published, abs=5e-5)
    assert value(found.ties) == pytest.approx(0.7468147, abs=5e-5)


@pytest.mark.parametrize("side_effect", [False, True])
def test_is_the_poisson_log_linear_fit(side_effect: bool) -> None:
    votes = simulated_votes(STUDY, 3)
    k, columns, seen = votes.model_count, [], []
    for left, right in {(int(a), int(b)) for a, b in zip(votes.left, votes.right, strict=True)}:
        is_pair = (votes.left == left) & (votes.right == right)
        for choice in (1, -1, 0):
            share = {1: (1.0, 0.0), -1: (0.0, 1.0), 0: (0.5, 0.5)}[choice]
            row = np.zeros(k + 2 + k * k)
            row[left], row[right] = share
            row[k], row[k + 1], row[k + 2 + left * k + right] = choice == 0, choice == 1 and side_effect, 1
            columns.append(row)
            seen.append(int((is_pair & (votes.choice == choice)).sum()))
    design = np.array(columns)[:, 1:]  # the first model is the reference
    design = design[:, design.any(axis=0)]
    other = sm.GLM(seen, design, family=sm.families.Poisson()).fit(tol=1e-14, maxiter=200).params
    found = people_ranking(votes, side_effect=side_effect)
    assert np.subtract(strengths(found)[1:], strengths(found)[0]) == pytest.approx(other[: k - 1], abs=1e-6)
    assert np.log(value(found.ties)) == pytest.approx(other[k - 1], abs=1e-6)
    if found.side is not None:
        assert np.log(value(found.side)) == pytest.approx(other[k], abs=1e-6)


def test_gradient_and_information_are_the_derivatives() -> None:
    layout = Layout.of(simulated_votes(STUDY, 4), side_effect=True)
    counts, at = layout.counts(), np.array([0.3, -0.2, 0.5, -0.7, 0.1])
    gradient = np.einsum("mo,moq->q", counts, layout.scores(at))

    def likelihood_at(point: Floats) -> float:
        return log_likelihood(layout, counts, point)

    numeric = approx_fprime(at, likelihood_at, 1e-7)
    assert gradient == pytest.approx(numeric, abs=1e-3)
    step = np.eye(5) * 1e-6
    rows = [np.einsum("mo,moq->q", counts, layout.scores(at + d) - layout.scores(at - d)) / 2e-6 for d in step]
    information = np.einsum("m,mpq->pq", counts.sum(axis=1), layout.information(at))
    assert -np.array(rows) == pytest.approx(information, rel=1e-5, abs=1e-4)


def test_leaving_out_is_nearly_fitting_without() -> None:
    votes = simulated_votes(STUDY, 5)
    layout = Layout.of(votes, side_effect=False)
    whole = fit(layout)
    refitted = []
    for prompt in range(STUDY.prompts):
        stays = votes.prompt != prompt
        units, models = (votes.comparison, votes.annotator), (votes.left, votes.right)
        part = ModelVotes.of(
            np.column_stack(units)[stays],
            np.column_stack(models)[stays],
            votes.choice[stays],
            model_count=votes.model_count,
            prompt=votes.prompt[stays],
        )
        refitted.append(fit(Layout.of(part, side_effect=False)))
    deviations = np.array(refitted) - np.mean(refitted, axis=0)
    expected = deviations.T @ deviations * (STUDY.prompts - 1) / STUDY.prompts
    assert two_way_covariance(votes, layout, whole).over_prompts == pytest.approx(expected, rel=0.1, abs=2e-3)


def test_does_not_depend_on_names_sides_and_order() -> None:
    votes = simulated_votes(STUDY, 6)
    new = np.array([2, 0, 3, 1])
    order = np.random.default_rng(1).permutation(len(votes.choice))
    units = np.column_stack([votes.comparison, votes.annotator])[order]
    models = new[np.column_stack([votes.right, votes.left])][order]
    swapped = ModelVotes.of(units, models, -votes.choice[order], model_count=4, prompt=votes.prompt[order])
    before, after = people_ranking(votes), people_ranking(swapped)
    for model in range(4):
        assert value(after.strengths[new[model]]) == pytest.approx(value(before.strengths[model]))
        assert bounds(after.strengths[new[model]]) == pytest.approx(bounds(before.strengths[model]))
    assert [after.ranks.best[model] for model in new] == list(before.ranks.best)
    assert (after.table.votes[np.ix_(new, new)] == before.table.votes).all()
    assert before.table.votes.sum() == 2 * len(votes.choice)


def test_groups_that_never_met_are_said() -> None:
    found = people_ranking(counted(((1, 2, 9, 1, 2), (3, 4, 3, 3, 0)), 4), names=("ada", "bob", "cyd", "dan"))
    assert found.reason == "the models fall into groups that were never compared: ada, bob; cyd, dan"
    assert found.strengths[0].reason == found.reason
    assert found.ranks.best == (1, 2, 1, 1)  # 9 : 1 of ten decided prompts, Holm over two pairs: p = .043
    assert found.ranks.worst == (3, 4, 4, 4)


def test_a_model_that_never_lost_has_no_finite_strength() -> None:
    found = people_ranking(counted(((1, 2, 8, 0, 0), (1, 3, 8, 0, 0), (2, 3, 3, 4, 0)), 3), names=("a", "b", "c"))
    assert found.reason == "no finite strengths: a never lost to b, c, so votes cannot say by how much it is better"
    assert (found.ranks.best, found.ranks.worst) == ((1, 2, 2), (1, 3, 3))


def test_ties_alone_do_not_bound_a_strength_but_losses_of_others_bound_the_ties() -> None:
    """An ever stronger model with ever more ties keeps its chance of a tie, unless other pairs say how many ties
    there are."""
    assert people_ranking(counted(((1, 2, 8, 0, 5),), 2)).reason.startswith("no finite strengths: model 0")
    bounded = people_ranking(counted(((1, 2, 8, 0, 5), (2, 3, 3, 4, 0)), 3))
    assert bounded.reason == ""
    assert strengths(bounded)[0] > strengths(bounded)[1]


@pytest.mark.parametrize(
    ("rows", "side_effect", "reason"),
    [
        ((), False, "no votes"),
        (((1, 2, 0, 0, 9),), False, "every vote is a tie"),
        (((1, 2, 6, 3, 1),), True, "the side effect cannot be told from the strengths"),
    ],
)
def test_other_designs_without_a_fit(
    rows: tuple[tuple[int, int, int, int, int], ...], side_effect: bool, reason: str
) -> None:
    found = people_ranking(counted(rows, 2), side_effect=side_effect)
    assert found.reason.startswith(reason)
    assert (found.ranks.best, found.ranks.worst) == ((1, 1), (2, 2))


def test_few_annotators_have_values_and_ranks_by_pairwise_tests() -> None:
    votes = simulated_votes(replace(STUDY, annotators=5), 7)
    found = people_ranking(votes)
    assert found.reason == ""
    assert found.strengths[0].reason == "only 5 annotators, and an interval for annotators like these needs 6"
    assert found.ranks.method.startswith("sign-flip tests")


def test_without_ties_nu_is_zero() -> None:
    found = people_ranking(counted(((1, 2, 12, 6, 0),), 2))
    assert (found.ties.value, found.ties.reason) == (0.0, "no vote is a tie")
    assert value(found.differences[0]) == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("units", "models", "choice", "message"),
    [
        ([(0, 0)], [(1, 1)], [1], "two different models"),
        ([(0, 0)], [(0, 2)], [1], "two different models"),
        ([(0, 0)], [(0, 1)], [2], "a choice is"),
        ([(0, 0), (0, 0)], [(0, 1), (1, 0)], [1, 1], "one vote on a comparison"),
        ([(0, 0)], [(0, 1)], [1, 1], "every vote has"),
    ],
)
def test_impossible_votes_are_refused(units: list[int], models: list[int], choice: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelVotes.of(units, models, choice, model_count=2)


def test_a_comparison_of_three_models_is_refused() -> None:
    with pytest.raises(ValueError, match="the same two models"):
        ModelVotes.of([(0, 0), (0, 1)], [(0, 1), (0, 2)], [1, 1], model_count=3)
    assert pairwise_table(ModelVotes.of([], [], [], model_count=3)).votes.shape == (3, 3)


def test_intervals_and_rank_sets_cover_what_they_say() -> None:
    """Forty studies here; `python -m benchmarks.ranking_coverage` simulates hundreds of each design."""
    truth = true_strengths(DESIGNS[0])
    strengths_hold, differences_hold, ranks_hold = zip(
        *(holds(DESIGNS[0], truth, seed) for seed in range(1000, 1040)), strict=True
    )
    assert 0.9 <= np.mean(strengths_hold) <= 0.985
    assert 0.9 <= np.mean(differences_hold) <= 0.985
    assert np.mean(ranks_hold) >= 0.9
