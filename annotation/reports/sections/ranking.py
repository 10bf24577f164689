"""The models in order, by people's votes and by the metric. Pure."""

from collections.abc import Callable

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.ranking import PairOfModels, RankedModel, Ranking
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import (
    UNDEFINED,
    Figure,
    Row,
    Section,
    Table,
    bracketed,
    coefficient_row,
    share_row,
)
from annotation.reports.printing.numbers import TIE_RULES, coefficient, metric_name, percent, score
from annotation.reports.printing.phrases import NEVER, ranks
from annotation.reports.printing.sentences import around, short_metric
from jobs.wording import counted, listed
from scoring.statistics.inference.estimate import Estimate

MOST_MODELS = 12  # of a drawn matrix: more columns cannot be read on a phone
_MOST_MODELS = 5  # that one sentence names


def section(values: tuple[Ranking, Agreement], facts: Facts) -> Section:
    """Both rankings with their intervals and sets of ranks, how far they agree, and the votes of each pair."""
    ranking, agreement = values
    texts = (_people(ranking), *_without_intervals(ranking), _metric(ranking, facts), _fixed_order(ranking))
    texts = (*texts, *_votes(ranking), _pairs_of_their_own())
    tables = (_models(ranking), matrix(ranking), _pairs(ranking))
    title = "The models in order"
    return Section("ranking", title, texts, _rows(ranking, agreement), tables, _figures(ranking, facts))


# --- texts --------------------------------------------------------------------------------------
def _people(ranking: Ranking) -> str:
    model = "Bradley-Terry model with ties (Davidson, 1970)"
    ranks = (
        "A set of ranks goes from 1 + the number of models that are surely better to the number of models that are not "
        f"surely worse. All sets hold at once with {percent(ranking.level)} ({ranking.rank_method})."
    )
    if ranking.reason:
        return f"The votes have no fit of the {model}: {ranking.reason}. {ranks}"
    return (
        f"The ranking by votes is that of the {model}: the difference of two strengths is the logarithm of the odds "
        f"with which a decided vote goes to the first. The mean strength is zero. Intervals speak about annotators and "
        f"prompts like these (two-way clustered). {ranks}"
    )


def _without_intervals(ranking: Ranking) -> tuple[str, ...]:
    """A sentence if strengths have values and no intervals."""
    strength = ranking.models[0].strength
    return (f"No intervals: {strength.reason}.",) if strength.is_defined and strength.low is None else ()


def _metric(ranking: Ranking, facts: Facts) -> str:
    metric = metric_name(facts.study.metric)
    if ranking.metric_reason:
        return f"{metric} has no ranking: {ranking.metric_reason}."
    seeds = f"and over {counted(ranking.seeds, 'seed')}" if ranking.seeds else "with the images as they are"
    return (
        f"The ranking of {metric} is that of its mean scores over prompts, {seeds}. If a model has no score on a "
        f"prompt, means are adjusted for the prompts (least squares). Sets of ranks: {ranking.metric_rank_method}."
    )


def _fixed_order(ranking: Ranking) -> str:
    names = {model.key: model.name for model in ranking.models}
    order = ", ".join(names[key] for key in ranking.fixed_order)
    if not ranking.is_best:
        how = "by comparisons won minus comparisons lost, as there are too many models to try every order"
    elif ranking.is_only:
        how = "no other order names the winner of the votes as often"
    else:
        how = "other orders name the winner of the votes as often; of these, the first in the order of the study file"
    return (
        f"The best fixed order of the models is {order} ({how}). It looks at no image: in each comparison it names the "
        "model that comes first. It is chosen by the same votes, so that a metric that beats it has done more than one "
        "that beats an order named before."
    )


def _votes(ranking: Ranking) -> tuple[str, ...]:
    """A sentence if not all votes count for the ranking."""
    if not ranking.left_out:
        return ()
    return (f"The ranking rests on {ranking.votes} of {counted(ranking.all_votes, 'vote')}: {ranking.left_out}.",)


def _pairs_of_their_own() -> str:
    return (
        "Each pair of models has a report of its own (report STUDY --pair). It has what makes sense for two models "
        "only: the tests between their scores, the box plot and the density, and the lead of one over the other."
    )


# --- numbers ------------------------------------------------------------------------------------
def _rows(ranking: Ranking, agreement: Agreement) -> tuple[Row, ...]:
    found, rule = ranking.concordance, TIE_RULES[agreement.endpoint]
    return (
        coefficient_row("Kendall's tau of the two rankings", found.tau),
        share_row("Pairs of models that both rankings order alike", found.system_accuracy),
        share_row("Models with the same rank in both", found.same_rank, remark="to the upper end: the sets overlap"),
        share_row("Comparisons in which the metric names the winner of the votes", agreement.headline, remark=rule),
        coefficient_row("Tie parameter (nu of Davidson)", ranking.ties, remark=_ties(ranking)),
        *_side_rows(ranking),
    )


def _ties(ranking: Ranking) -> str:
    """The share of ties between two models of equal strength."""
    nu = ranking.ties.value
    return "" if nu is None else f"two models of equal strength tie in {percent(nu / (2 + nu))}"


def _side_rows(ranking: Ranking) -> tuple[Row, ...]:
    label = "Side: to be shown left multiplies a strength by"
    if ranking.side is None:
        return (Row(label, UNDEFINED, n=ranking.votes, remark="not asked: the votes do not tell it"),)
    return (coefficient_row(label, ranking.side, remark="one means no effect of the side (Davidson and Beaver, 1977)"),)


# --- tables -------------------------------------------------------------------------------------
def _models(ranking: Ranking) -> Table:
    head = ("Rank", "Model", "Log strength", "Won", "Lost", "Tied", "Metric's rank", "Mean score")
    rows = tuple(_model(model) for model in ranking.models)
    caption = (
        f"The models by votes, n = {counted(ranking.votes, 'vote')}, beside the metric; "
        f"{100 * ranking.level:g} % intervals and sets of ranks"
    )
    return Table(caption, head, rows, (0, 2, 3, 4, 5, 6, 7))


def _model(model: RankedModel) -> tuple[str, ...]:
    votes = (str(model.wins), str(model.losses), str(model.ties))
    metric = ranks(model.metric_best_rank, model.metric_worst_rank)
    strength, mean = (_short(one, text) for one, text in ((model.strength, coefficient), (model.mean_score, score)))
    return ranks(model.best_rank, model.worst_rank), model.name, strength, *votes, metric, mean


def _short(estimate: Estimate, text: Callable[[float], str]) -> str:
    """An estimate as a table cell; why it is undefined or has no interval stands above the table."""
    if estimate.value is None:
        return UNDEFINED
    if estimate.low is None or estimate.high is None:
        return text(estimate.value)
    return f"{text(estimate.value)} {bracketed(estimate.low, estimate.high, text)}"


def matrix(ranking: Ranking) -> Table:
    """How often the model of the row was chosen over that of the column, of all votes between the two."""
    names = {model.key: model.name for model in ranking.models}
    cells = {(pair.a, pair.b): _of(pair.wins_a, pair.votes) for pair in ranking.pairs}
    cells |= {(pair.b, pair.a): _of(pair.wins_b, pair.votes) for pair in ranking.pairs}
    rows = tuple((name, *(cells.get((key, other), NEVER) for other in names)) for key, name in names.items())
    caption = "Votes for the model of the row over that of the column, of all between the two; the rest: losses or ties"
    return Table(caption, ("Model", *names.values()), rows, tuple(range(1, len(names) + 1)))


def _of(wins: int, votes: int) -> str:
    return f"{wins} of {votes}"


def _pairs(ranking: Ranking) -> Table:
    names = {model.key: model.name for model in ranking.models}
    head = ("Model", "Against", "Comparisons", "Won", "Lost", "Tied", "Difference of strengths", "Surely better")
    rows = tuple(_pair(pair, names) for pair in ranking.pairs)
    caption = (
        f"The pairs of models; {100 * ranking.level:g} % intervals, each by itself. Surely better: by the sets of "
        "ranks, which hold for all pairs at once"
    )
    return Table(caption, head, rows, (2, 3, 4, 5, 6))


def _pair(pair: PairOfModels, names: dict[str, str]) -> tuple[str, ...]:
    votes = (str(pair.comparisons), str(pair.wins_a), str(pair.wins_b), str(pair.ties))
    difference = _short(pair.difference, coefficient)
    return names[pair.a], names[pair.b], *votes, difference, names.get(pair.better, "neither")


# --- figures ------------------------------------------------------------------------------------
def _figures(ranking: Ranking, facts: Facts) -> tuple[Figure, ...]:
    metric = metric_name(facts.study.metric)
    said = f"sets of ranks in brackets; n = {counted(ranking.votes, 'vote')}"
    people = "undefined" if ranking.reason else "log strength, Bradley-Terry with ties"
    both = (
        f"The ranking by votes ({people}) above and that of {metric} (mean score) below, with "
        f"{100 * ranking.level:g} % intervals; {said}. Each model has its own colour and shape."
    )
    words = "; ".join(_model_in_words(model) for model in ranking.models)
    ranked = Figure("ranking", "The models in order", both, words)
    if len(ranking.models) > MOST_MODELS:
        return (ranked,)
    caption = (
        "How often the model of the row was chosen over that of the column: the share of their decided votes, and "
        "below it all their votes. The darker, the more often. Models in the order of the votes; "
        f"{said.partition('; ')[2]}."
    )
    pairs = "; ".join(f"{pair.a} over {pair.b}: {_of(pair.wins_a, pair.votes)}" for pair in ranking.pairs)
    return ranked, Figure("pairs", "Each model against each other one", caption, pairs)


def _model_in_words(model: RankedModel) -> str:
    metric = ranks(model.metric_best_rank, model.metric_worst_rank)
    return f"{model.name}: rank {ranks(model.best_rank, model.worst_rank)} by people, {metric} by the metric"


# --- in sentences -------------------------------------------------------------------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return people's order, what of it is sure, and the metric's order beside it."""
    found = results.ranking
    if found is None:
        return ()
    names = [f"{model.name} (rank {ranks(model.best_rank, model.worst_rank)})" for model in found.models]
    order = f"By {counted(found.votes, 'vote')} the order is {listed(names, most=_MOST_MODELS)}."
    sure = sum(bool(pair.better) for pair in found.pairs)
    among = counted(len(found.pairs), "pair")
    pairs = f"In {sure} of {among} one model is surely better."
    if not sure:
        pairs = f"In none of {among} is one model surely better."
    is_lower = report.study.metric in report.study.lower_metrics
    return f"{order} {pairs}", _metric_in_words(found, short_metric(report.study.metric), is_lower=is_lower)


def _metric_in_words(found: Ranking, metric: str, *, is_lower: bool) -> str:
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
