"""Several metrics judged by the same votes. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from annotation.reports.data.leaks import sources
from annotation.reports.data.study_data import Similarities
from annotation.reports.findings.analysed import Analysed, Outcome, votes_one_by_one
from annotation.reports.findings.budgets import FewerImages, fewer_images
from scoring.metric_spec import named_functional, score_of_matrix
from scoring.statistics.agreement.agreement import agreement, metric_winners
from scoring.statistics.agreement.calibration import calibration
from scoring.statistics.agreement.constant_choice import ConstantChoice, constant_choice
from scoring.statistics.agreement.metric_pairs import MetricPair, are_divided, compare_metrics
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.ranking.rank_sets import RankSets
from scoring.statistics.scores.set_noise import SetNoise, WithFewer, set_noise, with_fewer_images
from scoring.statistics.votes.counts import Floats
from scoring.statistics.votes.votes import Votes

MOST_COMPARISONS = 200  # of which subsets are drawn
_SUBSETS = 20
_SIZES = (2, 3, 5, 8, 12, 20, 50)
_INVALID = (
    "leaving out each image in turn gives no valid standard error of a minimum or a quantile, because these do not "
    "change smoothly with an image"
)


@dataclass(frozen=True, slots=True)
class MetricNoise:
    """A metric under other images. comparisons: with votes, its scores and its images. images: in each set.

    noise: how much a fresh draw of seeds would change. fewer: the same metric with fewer of these images, on `compared`
    comparisons, which are drawn at random if there are many.
    """

    metric: str
    comparisons: int
    images: int
    noise: SetNoise
    compared: int
    subsets: int
    fewer: tuple[WithFewer, ...]


def noise_of_metrics(analysed: Analysed, outcome: Outcome) -> tuple[MetricNoise, ...]:
    """Return one row for each metric whose sets have a matrix here."""
    rows = (_of_metric(analysed, outcome, name, matrices) for name, matrices in analysed.data.matrices.items())
    return tuple(row for row in rows if row)


def _of_metric(analysed: Analysed, outcome: Outcome, metric: str, matrices: Similarities) -> MetricNoise | None:
    data = analysed.data
    margin = analysed.outcome.margin if metric == data.metric else data.margins[metric]
    used = (outcome.has_votes & ~np.isnan(margin))[matrices.comparison]
    name, is_lower = metric.partition("/")[0], metric in data.lower_metrics
    functional = named_functional(name)
    if not used.any() or functional is None:
        return None
    a, b, people = matrices.a[used], matrices.b[used], outcome.people[matrices.comparison[used]]
    score, seed, images = partial(score_of_matrix, name), analysed.resampling.seed, a.shape[1]
    drawn = np.sort(np.random.default_rng(seed).permutation(len(a))[:MOST_COMPARISONS])
    sizes = [size for size in _SIZES if size < images] + [images]
    return MetricNoise(
        metric=metric,
        comparisons=len(a),
        images=images,
        noise=set_noise(score, a, b, is_lower=is_lower) if functional.jackknife else SetNoise(None, None, _INVALID),
        compared=len(drawn),
        subsets=_SUBSETS,
        fewer=with_fewer_images(
            score, people[drawn], a[drawn], b[drawn], sizes=sizes, subsets=_SUBSETS, seed=seed, is_lower=is_lower
        ),
    )


@dataclass(frozen=True, slots=True)
class MetricAgreement:
    """One metric judged by the votes: over all comparisons that it scored, and over those that every metric scored.

    agreement, on_common: strict. The rest is about the common comparisons, and None in a report of version 0.2.
    constant_choice: strict. slope: log-odds of a vote for A for one standard deviation of the metric's margins. ranks:
    the best and the worst rank that it can have among the metrics. seconds_per_thousand: time for a thousand images
    here, with embeddings; None if not timed.
    """

    metric: str
    agreement: Estimate
    on_common: Estimate
    constant_choice: ConstantChoice | None = None
    slope: Estimate | None = None
    ranks: tuple[int, int] | None = None
    seconds_per_thousand: float | None = None
    is_lower_more_consistent: bool = False


@dataclass(frozen=True, slots=True)
class MetricByImages:
    """Another encoder's score with 2, 3, … N images, on the comparisons with votes, scores and embeddings."""

    metric: str
    comparisons: int
    fewer: FewerImages


@dataclass(frozen=True, slots=True)
class Metrics:
    """common_comparisons: those with votes and scores by every metric, on which pairs are compared.

    equivalence_margin: the one that the manifest fixed; None if it fixed none. by_images: the metrics beside the
    reported one whose embeddings are here. divided: positions, from 1, of the common comparisons on which not all
    metrics name the same model; None in a report of version 0.2. left_out: annotators whom one of the metrics comes
    from; all metrics are judged without their votes. noise: of the metrics, except SCS, that are computed from a
    matrix of a set, the reported one included; empty in reports of version 0.2.
    """

    common_comparisons: int
    equivalence_margin: float | None
    metrics: tuple[MetricAgreement, ...]
    pairs: tuple[MetricPair, ...]
    by_images: tuple[MetricByImages, ...]
    left_out: tuple[str, ...] = ()
    divided: tuple[int, ...] | None = None
    noise: tuple[MetricNoise, ...] = ()


def compute(analysed: Analysed) -> Metrics:
    """Return the agreement of every metric, the reported one first, and their pairs; none if it is the only one."""
    data, resampling = analysed.data, analysed.resampling
    margins = {data.metric: analysed.outcome.margin} | data.margins
    left_out = sources(data, margins)
    outcome = _without(analysed, left_out)
    common = outcome.has_votes & ~np.isnan(np.stack(list(margins.values()))).any(axis=0)
    winners = {name: metric_winners(margin[common]) for name, margin in margins.items()}
    within = data.manifest.analysis.equivalence_margin
    pairs = compare_metrics(
        outcome.people[common],
        winners,
        clusters=data.comparisons.cluster[common],
        resampling=resampling,
        margin=within,
    )
    judged = _Judged(analysed, outcome, common)
    ranks = _ranks(tuple(margins), pairs, level=resampling.level)
    return Metrics(
        common_comparisons=int(common.sum()),
        equivalence_margin=within,
        metrics=tuple(
            judged.metric(name, margin, ranks=own) for (name, margin), own in zip(margins.items(), ranks, strict=True)
        ),
        pairs=pairs,
        by_images=_by_images(analysed, outcome),
        left_out=tuple(sorted(left_out)),
        noise=noise_of_metrics(analysed, outcome),
        divided=tuple((data.comparisons.position[common][are_divided(winners.values())] + 1).tolist()),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """The votes by which metrics are judged, and the comparisons that all of them scored."""

    analysed: Analysed
    outcome: Outcome
    common: NDArray[np.bool_]

    def metric(self, name: str, margin: Floats, *, ranks: tuple[int, int]) -> MetricAgreement:
        """Return one metric judged by the votes."""
        data, resampling = self.analysed.data, self.analysed.resampling
        people, clusters = self.outcome.people[self.common], data.comparisons.cluster[self.common]
        own = margin[self.common]
        spread = float(own.std()) if len(own) else 0.0
        fit = calibration(
            self.outcome.votes[self.common], own / (spread or 1.0), clusters=clusters, resampling=resampling
        )
        return MetricAgreement(
            metric=name,
            agreement=self._agreement(margin, self.outcome.has_votes & ~np.isnan(margin)),
            on_common=self._agreement(margin, self.common),
            constant_choice=constant_choice(
                people,
                metric_winners(own),
                clusters=clusters,
                model=self.analysed.constant_choice,
                level=resampling.level,
            ),
            slope=fit.slope,
            ranks=ranks,
            seconds_per_thousand=data.seconds_per_thousand.get(name),
            is_lower_more_consistent=name in data.lower_metrics,
        )

    def _agreement(self, margin: Floats, judged: NDArray[np.bool_]) -> Estimate:
        people, metric = self.outcome.people[judged], metric_winners(margin[judged])
        clusters = self.analysed.data.comparisons.cluster[judged]
        return agreement(people, metric, clusters=clusters, level=self.analysed.resampling.level)


def _ranks(names: tuple[str, ...], pairs: tuple[MetricPair, ...], *, level: float) -> list[tuple[int, int]]:
    """Return the ranks that each metric can have: one more than surely better ones, up to all but the surely worse.

    A metric is surely better than another one if their test, after Holm's correction over all pairs, shows it.
    """
    better = np.zeros((len(names), len(names)), dtype=bool)
    for pair in pairs:
        difference = pair.difference.value
        if pair.adjusted is not None and pair.adjusted <= 1 - level and difference:
            winner, loser = (pair.first, pair.second) if difference > 0 else (pair.second, pair.first)
            better[names.index(winner), names.index(loser)] = True
    sets = RankSets(better, "pairwise tests, Holm", level)
    return list(zip(sets.best, sets.worst, strict=True))


def _without(analysed: Analysed, left_out: Collection[str]) -> Outcome:
    """Return the winners without the votes of some annotators."""
    if not left_out:
        return analysed.outcome
    data, votes = analysed.data, votes_one_by_one(analysed.data.votes)
    kept = ~np.isin(votes.annotator, [at for at, row in enumerate(data.annotators) if row.pseudonym in left_out])
    others = Votes(votes.comparison[kept], votes.annotator[kept], votes.choice[kept])
    return Outcome.of(others.counts(len(data.comparisons)), analysed.outcome.margin)


def _by_images(analysed: Analysed, outcome: Outcome) -> tuple[MetricByImages, ...]:
    others, rows = analysed.data.other_similarities, []
    for metric, alike in others.items():
        is_scored = ~np.isnan(analysed.data.margins[metric])
        used = (outcome.has_votes & is_scored)[alike.comparison]
        if used.any():
            people, share = outcome.people[alike.comparison[used]], 1 / len(others)
            a, b = alike.a[used], alike.b[used]
            fewer = fewer_images(people, a, b, resampling=analysed.resampling, share=share)
            rows.append(MetricByImages(metric, int(used.sum()), fewer))
    return tuple(rows)
