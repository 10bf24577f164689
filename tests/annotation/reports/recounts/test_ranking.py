"""People's ranking counted again from single votes: a log-linear fit, a jackknife, and max-t, none of them ours."""

from dataclasses import dataclass, replace
from itertools import combinations, permutations, product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from annotation.reports.data.study_data import MODEL_A, TIE, UnsealedData
from annotation.reports.findings import ranking, sides
from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.ranking import Ranking
from tests.annotation.reports.many_models import NAMES, Simulated, simulated_data

STUDY = Simulated(prompts=8, quality=(-0.5, 1.2, 0.2, -1.0), annotators=7)
K = len(STUDY.quality)
DRAWS = 40_000
NEAR = 0.05  # of a critical value that two simulations may disagree about


def with_ties(data: UnsealedData, share: float) -> UnsealedData:
    """The same study with this share of the votes turned into ties."""
    is_tie = np.random.default_rng(1).random(len(data.votes.choice)) < share
    return replace(data, votes=replace(data.votes, choice=np.where(is_tie, TIE, data.votes.choice)))


def found_in(data: UnsealedData) -> Ranking:
    order = sides.fixed_order(data)
    assert order
    return ranking.compute(analyse(sides.by_order(data, order), order=order), order)


@dataclass(frozen=True)
class Cast:
    """Votes one by one: of models by number, the outcome 0 (left), 1 (right) or 2 (tie)."""

    prompt: np.ndarray
    annotator: np.ndarray
    left: np.ndarray
    right: np.ndarray
    outcome: np.ndarray

    @classmethod
    def of(cls, data: UnsealedData) -> "Cast":
        rows, votes = data.comparisons, data.votes
        pair = np.stack([rows.model_a, rows.model_b])[:, votes.comparison]
        left, right = np.where(votes.left == MODEL_A, pair, pair[::-1])
        outcome = np.where(votes.choice == TIE, 2, (votes.choice != votes.left).astype(int))
        return cls(rows.cluster[votes.comparison], votes.annotator, left, right, outcome)

    @property
    def designs(self) -> np.ndarray:
        """(v, 3, K + 1) the first model is the reference; then log nu, and the side."""
        one = np.eye(K)[:, 1:]
        strengths = np.stack([one[self.left], one[self.right], (one[self.left] + one[self.right]) / 2], axis=1)
        others = np.broadcast_to([[0, 1], [0, 0], [1, 0]], (len(self.left), 3, 2))
        return np.concatenate([strengths, others], axis=2)

    def log_linear(self) -> np.ndarray:
        """(K + 1,) the fit of counts by Poisson regression with an effect of each pair of models and its sides."""
        pattern = np.unique(self.left * K + self.right, return_inverse=True)[1]
        cells = [(place, outcome) for place in range(pattern.max() + 1) for outcome in range(3)]
        counts = [int(((pattern == place) & (self.outcome == outcome)).sum()) for place, outcome in cells]
        rows = [self.designs[np.argmax(pattern == place), outcome] for place, outcome in cells]
        effects = np.repeat(np.eye(pattern.max() + 1), 3, axis=0)
        fit = sm.GLM(counts, np.hstack([effects, rows]), family=sm.families.Poisson()).fit(tol=1e-14)
        return np.asarray(fit.params[effects.shape[1] :])

    def covariances(self, point: np.ndarray) -> tuple[list[np.ndarray], int, int]:
        """Over prompts, annotators and the votes of both; each group is left out in one step of Newton."""
        designs = self.designs
        chances = np.exp(designs @ point)
        chances /= chances.sum(axis=1, keepdims=True)
        centred = designs - (chances[:, :, np.newaxis] * designs).sum(axis=1, keepdims=True)
        gained = centred[np.arange(len(designs)), self.outcome]
        curved = np.einsum("vo,vop,voq->vpq", chances, centred, centred)
        both = self.prompt * (self.annotator.max() + 1) + self.annotator
        parts = []
        for group in (self.prompt, self.annotator, both):
            labels = np.unique(group)
            steps = [
                -np.linalg.solve(curved[group != one].sum(axis=0), gained[group == one].sum(axis=0)) for one in labels
            ]
            parts.append(np.cov(np.array(steps).T, bias=True) * (len(labels) - 1))
        return parts, len(np.unique(self.prompt)), len(np.unique(self.annotator))


def contrasts(first: int, second: int) -> np.ndarray:
    return np.concatenate([np.eye(K)[first, 1:] - np.eye(K)[second, 1:], [0, 0]])


@pytest.mark.parametrize("ties", [0.0, 0.85], ids=["as they are", "ties nearly everywhere"])
def test_strengths_intervals_and_sets_of_ranks(ties: float) -> None:
    data = with_ties(simulated_data(STUDY), ties)
    found, cast = found_in(data), Cast.of(data)
    point = cast.log_linear()
    strengths = np.concatenate([[0], point[: K - 1]])
    place = {name: number for number, name in enumerate(NAMES)}
    expected = dict(zip(NAMES, strengths - strengths.mean(), strict=False))
    assert {one.name: one.strength.value for one in found.models} == pytest.approx(expected, abs=1e-6)
    assert found.side
    assert [found.ties.value, found.side.value] == pytest.approx(np.exp(point[K - 1 :]).tolist(), rel=1e-6)
    parts, prompts, annotators = cast.covariances(point)

    def variance(contrast: np.ndarray) -> tuple[float, float]:
        over_prompts, over_annotators, over_votes = (contrast @ part @ contrast for part in parts)
        total = max(over_prompts + over_annotators - over_votes, over_prompts, over_annotators)
        spread = over_prompts**2 / (prompts - 1) + over_annotators**2 / (annotators - 1)
        return total, max(min(prompts, annotators) - 1, total**2 / spread)

    number = {one.key: place[one.name] for one in found.models}
    for pair in found.pairs:
        contrast = contrasts(number[pair.a], number[pair.b])
        total, freedom = variance(contrast)
        reach = stats.t.ppf(0.975, freedom) * total**0.5
        bounds = [contrast @ point - reach, contrast @ point + reach]
        assert [pair.difference.low, pair.difference.high] == pytest.approx(bounds, abs=1e-6)
    ordered = list(permutations(range(K), 2))
    rows = np.array([contrasts(*pair) for pair in ordered])
    values, vectors = np.linalg.eigh(rows @ (parts[0] + parts[1] - parts[2]) @ rows.T)
    root = vectors * np.sqrt(np.maximum(values, 0))
    errors, freedoms = np.array([variance(row) for row in rows]).T
    better = max_t(rows @ point / errors**0.5, root / np.linalg.norm(root, axis=1)[:, np.newaxis], freedoms.min())
    is_better = {pair for pair, sure in zip(ordered, better, strict=True) if sure}
    for one in found.models:
        me = number[one.key]
        assert one.best_rank == 1 + sum((other, me) in is_better for other in range(K))
        assert one.worst_rank == K - sum((me, other) in is_better for other in range(K))


def max_t(observed: np.ndarray, root: np.ndarray, freedom: float) -> np.ndarray:
    """(h,) which of the hypotheses "not better" are rejected, step by step, by another simulation than ours."""
    rng = np.random.default_rng(11)
    shape = stats.chi2.rvs(freedom, size=DRAWS, random_state=rng) / freedom
    drawn = rng.standard_normal((DRAWS, root.shape[1])) @ root.T / np.sqrt(shape)[:, np.newaxis]
    left = np.ones(len(observed), dtype=bool)
    while left.any():
        critical = np.quantile(drawn[:, left].max(axis=1), 0.95)
        assert np.abs(observed[left] - critical).min() > NEAR, "too near for two simulations to agree on"
        if not (left & (observed > critical)).any():
            break
        left &= observed <= critical
    return ~left


@pytest.mark.parametrize(
    ("study", "ties", "reason"),
    [
        (replace(STUDY, quality=(0.0, 40.0, 0.1, -0.1)), 0.0, "no finite strengths: Bob never lost to"),
        (replace(STUDY, pairs=((0, 1), (2, 3)), quality=(-4.0, 4.0, 0.2, -9.0)), 0.0, "the models fall into groups"),
        (STUDY, 1.0, "every vote is a tie"),
    ],
    ids=["separated", "disconnected", "ties everywhere"],
)
def test_sets_of_ranks_without_a_fit_come_from_all_sign_flips(study: Simulated, ties: float, reason: str) -> None:
    data = with_ties(simulated_data(study), ties)
    found, cast = found_in(data), Cast.of(data)
    assert found.reason.startswith(reason)
    assert [one.strength.value for one in found.models] == [None] * K
    sums = {}
    for pair in combinations(range(K), 2):
        mine = np.isin(cast.left, pair) & np.isin(cast.right, pair)
        gain = np.where(cast.outcome == 2, 0, np.where((cast.left == pair[0]) == (cast.outcome == 0), 1, -1))
        if mine.any():
            sums[pair] = np.bincount(cast.prompt[mine], gain[mine], study.prompts)
    flips = np.array(list(product((-1, 1), repeat=study.prompts)))
    chance = {pair: (np.abs(flips @ one) >= abs(one.sum())).mean() for pair, one in sums.items()}
    is_better, largest = set(), 0.0
    for rank, pair in enumerate(sorted(chance, key=lambda one: chance[one])):
        largest = max(largest, chance[pair] * (len(chance) - rank))
        if largest <= 0.05:
            is_better.add(pair if sums[pair].sum() > 0 else pair[::-1])
    assert bool(is_better) == (ties < 1)
    for one in found.models:
        me = NAMES.index(one.name)
        assert one.best_rank == 1 + sum((other, me) in is_better for other in range(K))
        assert one.worst_rank == K - sum((me, other) in is_better for other in range(K))
