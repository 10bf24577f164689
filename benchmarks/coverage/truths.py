"""What each estimate of the report tends to as a study grows, by the definitions and without the report's code."""

import numpy as np

from benchmarks.coverage.designs import Drawn, Floats

Truths = dict[str, float]


def truths(drawn: Drawn) -> Truths:
    """Return the value of each estimand on very many comparisons, by the key of the report's document."""
    for_a, votes = drawn.is_for_a.sum(axis=1).astype(float), float(drawn.is_for_a.shape[1])
    people, metric = np.sign(2 * for_a - votes), np.sign(drawn.margin)
    agreement = float((people == metric).mean())
    pairs = _pairwise(for_a, votes)
    found = {
        "agreement.headline": agreement,
        "agreement.constant_choice.difference": agreement - max((people > 0).mean(), (people < 0).mean()),
        **_chance_corrected(people, metric),
        **_reliability(for_a, votes, float(pairs.mean())),
        **_leave_one_out(drawn, metric),
        **_single_votes(drawn, metric, pairs),
        "scores.wilcoxon.rank_biserial": _rank_biserial(drawn.margin),
    }
    return {name: float(value) for name, value in found.items()}


def _pairwise(for_a: Floats, votes: float) -> Floats:
    """The share of agreeing pairs of votes in each comparison."""
    return (for_a * (for_a - 1) + (votes - for_a) * (votes - for_a - 1)) / (votes * (votes - 1))


def _chance_corrected(people: Floats, metric: Floats) -> Truths:
    decided = people != 0
    theirs, its = people[decided] > 0, metric[decided] > 0
    observed = (theirs == its).mean()
    expected = theirs.mean() * its.mean() + (1 - theirs.mean()) * (1 - its.mean())
    return {
        "agreement.chance_corrected.kappa": (observed - expected) / (1 - expected),
        "agreement.chance_corrected.matthews": float(np.corrcoef(theirs, its)[0, 1]),
        "agreement.chance_corrected.balanced_accuracy": (its[theirs].mean() + (~its)[~theirs].mean()) / 2,
    }


def _reliability(for_a: Floats, votes: float, pairwise: float) -> Truths:
    share = float(for_a.mean() / votes)
    return {
        "reliability.pairwise_agreement": pairwise,
        "reliability.alpha": 1 - (1 - pairwise) / (2 * share * (1 - share)),
        "reliability.ac1": (pairwise - 2 * share * (1 - share)) / (1 - 2 * share * (1 - share)),
        "reliability.brennan_prediger": 2 * pairwise - 1,
    }


def _leave_one_out(drawn: Drawn, metric: Floats) -> Truths:
    choice = np.where(drawn.is_for_a, 1.0, -1.0)
    others = np.sign(choice.sum(axis=1, keepdims=True) - choice)
    person = 1 - np.abs(choice - others).mean() / 2
    its = 1 - np.abs(metric[:, np.newaxis] - others).mean() / 2
    return {
        "people.leave_one_out.by_comparison.people": person,
        "people.leave_one_out.by_comparison.metric": its,
        "people.leave_one_out.by_comparison.difference": its - person,
    }


def _single_votes(drawn: Drawn, metric: Floats, pairs: Floats) -> Truths:
    with_metric = (drawn.is_for_a == (metric > 0)[:, np.newaxis]).mean()
    return {
        "single_votes.metric": with_metric,
        "single_votes.people": pairs.mean(),
        "single_votes.difference": with_metric - pairs.mean(),
    }


def _rank_biserial(margin: Floats) -> float:
    rank = np.argsort(np.argsort(np.abs(margin))) + 1.0
    return float((rank * np.sign(margin)).sum() / rank.sum())
