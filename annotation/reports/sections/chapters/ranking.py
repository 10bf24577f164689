"""The models in order, in sentences. Pure."""

from annotation.reports.findings.ranking import RankedModel, Ranking
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.numbers import coefficient, score
from annotation.reports.printing.phrases import ranks
from annotation.reports.printing.sentences import around, listed, short_metric
from jobs.wording import counted

_MOST_MODELS = 5  # that one sentence names


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return people's order, what of it is sure, and the metric's order beside it."""
    found = results.ranking
    if found is None:
        return ()
    names = [f"{model.name} (rank {ranks(model.best_rank, model.worst_rank)})" for model in found.models]
    order = f"By {counted(found.votes, 'vote')} the order is {listed(names, most=_MOST_MODELS)}."
    sure = sum(bool(pair.better) for pair in found.pairs)
    pairs = f"In {sure} of {counted(len(found.pairs), 'pair')} of models one is surely better."
    is_lower = report.study.metric in report.study.lower_metrics
    return f"{order} {pairs}", _metric(found, short_metric(report.study.metric), is_lower=is_lower)


def _metric(found: Ranking, metric: str, *, is_lower: bool) -> str:
    if found.metric_reason:
        return f"{metric} has no ranking: {found.metric_reason}."
    # Not by the sets of ranks, which are alike if the metric is sure of little.
    by_score = sorted(found.models, key=lambda model: model.mean_score.value or 0.0, reverse=not is_lower)
    order = f"By {metric} the order is {listed([_scored(model) for model in by_score], most=_MOST_MODELS)}."
    tau = found.concordance.tau
    if tau.value is None:
        return f"{order} Kendall's tau of the two orders is undefined: {tau.reason}."
    return f"{order} Kendall's tau of the two orders is {around(tau, coefficient)}."


def _scored(model: RankedModel) -> str:
    return f"{model.name} ({score(model.mean_score.value)})"
