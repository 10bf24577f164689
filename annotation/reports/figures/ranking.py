"""Draw the models in order: people's ranking beside the metric's, and each model against each other one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from annotation.reports.figures.style import INK, LINE, QUIET, SMALL, is_wide, model_marks, new_figure, shortened
from annotation.reports.findings.ranking import RankedModel, Ranking
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.numbers import coefficient, metric_name, score
from annotation.reports.printing.phrases import NEVER, ranks
from scoring.statistics.inference.estimate import Estimate

_ROW = 0.3  # inches
_DARKEST = 0.4  # of a cell: words in ink stay readable on it, on light and on dark paper
_LETTERS = 16  # of a model's name beside the matrix, in one column


class _Panel(NamedTuple):
    """One ranking: its title, what is drawn of each model, as text, its set of ranks."""

    title: str
    estimate: Callable[[RankedModel], Estimate]
    text: Callable[[float], str]
    ranks: Callable[[RankedModel], str]


def both_rankings(report: AgreementReport, results: Results) -> Figure:
    """Draw people's ranking above the metric's (beside it, if it is wide), the models in people's order in both."""
    ranking = _ranking(results)
    panels = [
        _Panel(
            "By people: log strength", lambda m: m.strength, coefficient, lambda m: ranks(m.best_rank, m.worst_rank)
        ),
        _Panel(
            f"By {metric_name(report.study.metric)}: mean score",
            lambda m: m.mean_score,
            score,
            lambda m: ranks(m.metric_best_rank, m.metric_worst_rank),
        ),
    ]
    shown = [panel for panel in panels if any(panel.estimate(model).is_defined for model in ranking.models)]
    count = max(len(shown), 1)
    rows, columns = (1, count) if is_wide() else (count, 1)
    figure = new_figure((0.55 + _ROW * len(ranking.models)) * rows)
    places = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"wspace": 0.12}).ravel()
    marks = model_marks(report.study.models)
    for axes, panel in zip(places, shown, strict=False):
        _draw_panel(axes, panel, ranking.models, marks)
    if not shown:
        places[0].axis("off")
        places[0].text(0, 0.5, "No ranking is defined.", color=QUIET)
    return figure


def _ranking(results: Results) -> Ranking:
    if results.ranking is None:
        raise ValueError("a report of two models has no ranking")
    return results.ranking


def _draw_panel(axes: Axes, panel: _Panel, models: Sequence[RankedModel], marks: dict[str, tuple[str, str]]) -> None:
    """Draw a row for each model: words above, the interval as a bar, the value as the model's mark."""
    on_axis = axes.get_yaxis_transform()  # x as a share of the axis, y in models
    for height, model in enumerate(reversed(models)):
        estimate, (shape, colour) = panel.estimate(model), marks[model.name]
        value = "undefined" if estimate.value is None else panel.text(estimate.value)
        label = f"{shortened(model.name)}  [{panel.ranks(model)}]"
        axes.text(0, height + 0.28, label, fontsize=SMALL, transform=on_axis)
        axes.text(1, height + 0.28, value, ha="right", fontweight="bold", fontsize=SMALL, transform=on_axis)
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=1.4)
        if estimate.value is not None:
            axes.plot([estimate.value], [height], shape, color=colour, markersize=4.5)
    axes.set_ylim(-0.5, len(models) - 0.2)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(panel.title)


def pairs_of_models(_report: AgreementReport, results: Results) -> Figure:
    """Draw the share of decided votes that each model won against each other one, as depth of grey and in numbers."""
    ranking = _ranking(results)
    place = {model.key: number for number, model in enumerate(ranking.models)}
    k = len(place)
    figure = new_figure(0.5 + 0.32 * k)
    axes = figure.add_subplot()
    for pair in ranking.pairs:
        for row, column, wins, losses in (
            (place[pair.a], place[pair.b], pair.wins_a, pair.wins_b),
            (place[pair.b], place[pair.a], pair.wins_b, pair.wins_a),
        ):
            _draw_cell(axes, row, column, wins, losses, pair.votes)
    names = [shortened(model.name, 2 * _LETTERS if is_wide() else _LETTERS) for model in ranking.models]
    axes.set_xlim(-0.5, k - 0.5)
    axes.set_ylim(k - 0.5, -0.5)
    axes.set_yticks(range(k), [f"{number}  {name}" for number, name in enumerate(names, start=1)])
    axes.set_xticks(range(k), [str(number) for number in range(1, k + 1)])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _draw_cell(axes: Axes, row: int, column: int, wins: int, losses: int, votes: int) -> None:
    """Draw one cell: the share of decided votes and, below it, the number of votes."""
    decided = wins + losses
    share = wins / decided if decided else 0.0
    left, right, top, bottom = column - 0.5, column + 0.5, row - 0.5, row + 0.5
    axes.fill_between([left, right], top, bottom, color=INK, alpha=_DARKEST * share, linewidth=0)
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=LINE, linewidth=0.8)
    said = f"{100 * share:.0f} %" if decided else NEVER
    axes.text(column, row - 0.1, said, ha="center", va="center", fontsize=SMALL)
    axes.text(column, row + 0.27, f"{votes}", ha="center", va="center", fontsize=5.5)
