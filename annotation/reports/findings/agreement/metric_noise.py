"""How much the other metrics depend on which images there are. Pure."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from annotation.reports.data.study_data import Similarities
from annotation.reports.findings.analysed import Analysed, Outcome
from scoring.metric_spec import named_functional, score_of_matrix
from scoring.statistics.scores.set_noise import SetNoise, WithFewer, set_noise, with_fewer_images

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

    noise: what a fresh draw of seeds would do. fewer: with fewer of these images, on `compared` of the comparisons,
    drawn at random if there are many.
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
