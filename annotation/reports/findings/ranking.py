"""The models of a study in order: by people's votes, and by the metric. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from annotation.reports.data.study_data import MODEL_A, TIE, UNKNOWN, UnsealedData
from annotation.reports.findings.analysed import Analysed, counted_rows, first_votes
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.ranking.fixed_order import FixedOrder
from scoring.statistics.ranking.metric_ranking import (
    Concordance,
    MetricRanking,
    adjusted_means,
    concordance,
    metric_ranking,
)
from scoring.statistics.ranking.model_votes import ModelVotes
from scoring.statistics.ranking.people_ranking import PeopleRanking, people_ranking
from scoring.statistics.votes.counts import Floats, Integers
from scoring.statistics.votes.votes import first_rows


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One model. wins, losses, ties: of its votes. strength: logarithm, the mean of all models being zero.

    best_rank, worst_rank: the ranks that the votes leave open. mean_score: over prompts with a score of every model.
    metric_best_rank, metric_worst_rank: the ranks that the scores leave open; None if there is no ranking by them.
    """

    key: str
    name: str
    wins: int
    losses: int
    ties: int
    strength: Estimate
    best_rank: int
    worst_rank: int
    mean_score: Estimate
    metric_best_rank: int | None
    metric_worst_rank: int | None


@dataclass(frozen=True, slots=True)
class PairOfModels:
    """Two models, by their keys, a before b in people's order; votes between them.

    difference: of their strengths. better: the key of the model that is surely better, else empty.
    """

    a: str
    b: str
    comparisons: int
    wins_a: int
    wins_b: int
    ties: int
    difference: Estimate
    better: str

    @property
    def votes(self) -> int:
        """The number of votes between the two."""
        return self.wins_a + self.wins_b + self.ties


@dataclass(frozen=True, slots=True)
class Ranking:
    """models: the best by people's votes first. pairs: in that order; only those that were compared.

    ties: nu of Davidson's model. side: by what being shown left multiplies a strength, None if no vote tells. reason:
    why the votes have no fit, else empty; ranks then come from pairwise tests. rank_method, metric_rank_method: of the
    sets of ranks; level: the probability with which all sets of a kind hold at once. votes: that the ranking rests on,
    of all_votes that count; left_out: why it does not rest on all. metric_reason: why the metric has no ranking.
    fixed_order: keys of the models in the best fixed order; is_best: whether it was searched for; is_only: whether no
    other order is as good. population: the annotators that people's sets of ranks speak about; empty in reports made
    before it was stored.
    """

    models: tuple[RankedModel, ...]
    pairs: tuple[PairOfModels, ...]
    ties: Estimate
    side: Estimate | None
    reason: str
    rank_method: str
    metric_rank_method: str
    level: float
    votes: int
    all_votes: int
    left_out: str
    metric_reason: str
    seeds: int
    concordance: Concordance
    fixed_order: tuple[str, ...]
    is_best: bool
    is_only: bool
    population: str = ""


def compute(analysed: Analysed, order: FixedOrder) -> Ranking:
    """Rank the models by votes and by scores, and compare the two rankings."""
    votes, left_out = _model_votes(analysed.data)
    scores, clusters, without_seed = _scores(analysed.data)
    is_higher_better = _is_higher_more_consistent(analysed)

    def by_people(level: float) -> PeopleRanking:
        return _by_people(analysed.data, votes, level)

    def by_metric(level: float) -> MetricRanking:
        return metric_ranking(
            scores,
            higher_is_more_consistent=is_higher_better,
            clusters=clusters,
            without_seed=without_seed,
            level=level,
        )

    level = analysed.resampling.level
    people, metric, half = by_people(level), by_metric(level), (1 + level) / 2
    keys, place = tuple(analysed.data.manifest.models), _order_of(people, order)
    return Ranking(
        models=tuple(_model(analysed.data, people, metric, model) for model in place),
        pairs=tuple(_pairs(analysed.data, people, place)),
        ties=people.ties,
        side=people.side,
        reason=people.reason,
        rank_method=people.ranks.method,
        metric_rank_method=metric.ranks.method if metric.ranks else "",
        level=level,
        votes=len(votes.choice),
        all_votes=int((~analysed.data.votes.is_excluded).sum()),
        left_out=left_out,
        metric_reason=metric.reason,
        seeds=0 if without_seed is None else len(without_seed),
        concordance=concordance(by_people(half), by_metric(half)),
        fixed_order=tuple(keys[model] for model in order.models),
        is_best=order.is_best,
        is_only=order.is_only,
        population=people.ranks.population,
    )


def _is_higher_more_consistent(analysed: Analysed) -> bool:
    """Whether the metric names the set with the higher score, as its margins do."""
    rows = analysed.data.comparisons
    return not (analysed.outcome.margin * (rows.score_a - rows.score_b) < 0).any()


def _by_people(data: UnsealedData, votes: ModelVotes, level: float) -> PeopleRanking:
    """Return the ranking with an effect of the side, or without one if the votes do not tell it."""
    names = tuple(plan.name for plan in data.manifest.models.values())
    if len(data.votes) and not (data.votes.left == UNKNOWN).any():
        found = people_ranking(votes, names=names, side_effect=True, level=level)
        if not found.reason:
            return found
    return people_ranking(votes, names=names, level=level)


def _order_of(people: PeopleRanking, order: FixedOrder) -> list[int]:
    """Return the models from the strongest to the weakest; equal or unknown strengths as in the fixed order."""
    return sorted(order.models, key=lambda model: -(people.strengths[model].value or 0.0))


def _model(data: UnsealedData, people: PeopleRanking, metric: MetricRanking, model: int) -> RankedModel:
    key, plan = list(data.manifest.models.items())[model]
    table, ranks = people.table, metric.ranks
    return RankedModel(
        key=key,
        name=plan.name,
        wins=int(table.wins[model].sum()),
        losses=int(table.wins[:, model].sum()),
        ties=int(table.ties[model].sum()),
        strength=people.strengths[model],
        best_rank=people.ranks.best[model],
        worst_rank=people.ranks.worst[model],
        mean_score=metric.means[model],
        metric_best_rank=ranks.best[model] if ranks else None,
        metric_worst_rank=ranks.worst[model] if ranks else None,
    )


def _pairs(data: UnsealedData, people: PeopleRanking, place: list[int]) -> Iterator[PairOfModels]:
    keys, rows = tuple(data.manifest.models), data.comparisons
    differences = dict(zip(combinations(range(len(keys)), 2), people.differences, strict=True))
    surely, table = people.ranks.surely_better, people.table
    for a, b in combinations(place, 2):
        is_pair = ((rows.model_a == a) & (rows.model_b == b)) | ((rows.model_a == b) & (rows.model_b == a))
        if not is_pair.any():
            continue
        yield PairOfModels(
            a=keys[a],
            b=keys[b],
            comparisons=int(is_pair.sum()),
            wins_a=int(table.wins[a, b]),
            wins_b=int(table.wins[b, a]),
            ties=int(table.ties[a, b]),
            difference=differences[a, b] if a < b else _negative(differences[b, a]),
            better=keys[a] if surely[a, b] else keys[b] if surely[b, a] else "",
        )


def _negative(difference: Estimate) -> Estimate:
    value, low, high = (None if end is None else -end for end in (difference.value, difference.high, difference.low))
    return replace(difference, value=value, low=low, high=high)


def _model_votes(data: UnsealedData) -> tuple[ModelVotes, str]:
    """Return the votes that the ranking rests on, and why they are not all; empty if they are."""
    rows, left_out = _rows(data)
    votes, pairs = data.votes, data.comparisons
    comparison = votes.comparison[rows].astype(np.int64)
    first, second = pairs.model_a[comparison], pairs.model_b[comparison]
    # If the sides are not known, A stands for the left: the votes then say nothing about sides, and are not asked.
    is_a_left = (votes.left[rows] == MODEL_A) | (votes.left[rows] == UNKNOWN)
    chosen_left = (votes.choice[rows] == MODEL_A) == is_a_left
    models = np.column_stack([np.where(is_a_left, first, second), np.where(is_a_left, second, first)])
    choice = np.where(votes.choice[rows] == TIE, 0, np.where(chosen_left, 1, -1))
    units = np.column_stack([comparison, votes.annotator[rows]])
    prompt, k = pairs.cluster[comparison], len(data.manifest.models)
    return ModelVotes.of(units, models, choice, model_count=k, prompt=prompt), left_out


def _rows(data: UnsealedData) -> tuple[Integers, str]:
    rows, most, plan = counted_rows(data.votes), first_votes(data.manifest), data.manifest.annotation
    why = "the study stopped early where people agreed"
    if plan.allocation == "uncertain_pairs":
        most, why = plan.floor, "pairs whose order was least certain were given more votes"
    if most is None:
        return rows, ""
    said = f"only the first {counted(most, 'vote')} of each comparison count, because {why}"
    return rows[first_rows(data.votes.comparison[rows].astype(np.int64), most)], said


def _scores(data: UnsealedData) -> tuple[Floats, Integers, Floats | None]:
    """Return the (n, K) scores of the prompts, their clusters, and the (N, K) adjusted means without each seed.

    The last is None if not every score that counts comes from embedded images of as many seeds.
    """
    pairs, k = data.comparisons, len(data.manifest.models)
    places: dict[tuple[int, str], int] = {}
    keys = zip(pairs.cluster.tolist(), pairs.prompt, strict=True)
    row = np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.int64)
    scores = np.full((len(places), k), np.nan)
    clusters = np.array([cluster for cluster, _ in places], dtype=np.int64)
    for models, values in ((pairs.model_a, pairs.score_a), (pairs.model_b, pairs.score_b)):
        scores[row, models] = values
    return scores, clusters, _means_without_each_seed(data, row, scores)


def _means_without_each_seed(data: UnsealedData, row: Integers, scores: Floats) -> Floats | None:
    alike, pairs = data.similarities, data.comparisons
    seeds = alike.a.shape[1] if len(alike.comparison) else 0
    if seeds < 3:
        return None
    left_out = np.full((seeds, *scores.shape), np.nan)
    for models, similar in ((pairs.model_a, alike.a), (pairs.model_b, alike.b)):
        sums = similar.sum(axis=2)
        without = (sums.sum(axis=1)[:, np.newaxis] - 2 * sums) / ((seeds - 1) * (seeds - 2))
        left_out[:, row[alike.comparison], models[alike.comparison]] = without.T
    if (np.isfinite(left_out[0]) != np.isfinite(scores)).any():
        return None
    means = np.array([adjusted_means(each) for each in left_out])
    return means if np.isfinite(means).all() else None
