"""The scores of the two models side by side. Pure."""

from collections.abc import Sequence

from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.scores.scores import ModelScores, Scores
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import Figure, Section, Table, coefficient_row, significance_row
from annotation.reports.printing.numbers import coefficient, directed_metric, is_scs, p_value, percent, score
from annotation.reports.printing.sentences import around, short_metric, within
from jobs.wording import counted

Named = tuple[tuple[str, ModelScores], ...]


def section(values: tuple[Scores, Sequence[ComparisonRow]], facts: Facts) -> Section:
    """The scores of each model, tests between them, both scores of each comparison, and the paper's two figures."""
    scores, comparisons = values
    is_lower = facts.study.is_lower_more_consistent
    metric = directed_metric(facts.study.metric, is_lower=is_lower)
    models = ((f"A ({facts.study.model_a})", scores.model_a), (f"B ({facts.study.model_b})", scores.model_b))
    table = Table(
        f"Scores by {metric}, comparisons with both scores",
        ("Model", "n", "Mean", "Median", "SD", "Least", "Greatest"),
        tuple(_model(name, own) for name, own in models),
        tuple(range(1, 7)),
    )
    rows = (
        significance_row("Paired scores differ", scores.wilcoxon.test),
        coefficient_row(
            f"Rank-biserial effect, 1 is A always {'lower' if is_lower else 'higher'}", scores.wilcoxon.rank_biserial
        ),
        significance_row("Distributions differ", scores.kolmogorov_smirnov, remark="a replication: pairing ignored"),
        significance_row("Distributions differ, pairing kept", scores.kolmogorov_smirnov_sign_flip),
    )
    figures = _figures(metric, models, comparisons, is_bounded=is_scs(facts.study.metric))
    return Section("scores", "The scores of the two models", (), rows, (table,), figures)


def _model(name: str, scores: ModelScores) -> tuple[str, ...]:
    numbers = (scores.mean, scores.median, scores.standard_deviation, scores.least, scores.greatest)
    return name, str(scores.n), *(score(number) for number in numbers)


def _figures(metric: str, models: Named, rows: Sequence[ComparisonRow], *, is_bounded: bool) -> tuple[Figure, ...]:
    """The scatter, the box plot and the kernel density; no figure without scores."""
    n = models[0][1].n
    if not n:
        return ()
    box = (
        f"{metric} of each model's image sets, n = {counted(n, 'comparison')}. Line: median; box: quartiles; "
        "whiskers: the last score within 1.5 times the box; squares (A) and circles (B): every set, spread out so that "
        "they do not hide each other."
    )
    density = (
        f"Gaussian kernel density of {metric} by model, bandwidth by Scott's rule, n = {counted(n, 'set')} a model."
    )
    if is_bounded:
        density += " Reflected at 0 and 100, where SCS ends."
    equal = [name for name, scores in models if scores.are_equal]
    if equal:
        density += f" No density for {' and '.join(equal)}, whose scores are all equal: drawn as one line."
    words = "; ".join(
        f"{name}: median {score(scores.median)}, from {score(scores.least)} to {score(scores.greatest)}"
        for name, scores in models
    )
    return (
        _paired(metric, rows),
        Figure("scores-box", "Scores by model", box, words),
        Figure("scores-density", "Distribution of the scores", density, words),
    )


def _paired(metric: str, rows: Sequence[ComparisonRow]) -> Figure:
    """The scatter of both scores; its words count which model scores higher, and how often people chose that one."""
    scored = [(row.score_a, row.score_b) for row in rows if row.score_a is not None and row.score_b is not None]
    higher_a, higher_b = sum(a > b for a, b in scored), sum(a < b for a, b in scored)
    named = [row for row in rows if row.metric_winner in ("A", "B")]
    agreed = sum(row.metric_winner == row.people_winner for row in named)
    caption = (
        f"{metric} of both sets of each comparison, n = {counted(len(scored), 'comparison')}. Above the diagonal B "
        "scores higher, below it A. Mark: the model with more votes (A square, B circle, equal diamond)."
    )
    words = (
        f"A scores higher on {counted(higher_a, 'comparison')}, B on {higher_b}; "
        f"the model that the metric names has more votes on {agreed} of {len(named)}."
    )
    return Figure("scores-paired", "Both scores of each comparison", caption, words)


# --- in sentences -------------------------------------------------------------------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return which model scores higher and how often, and what a fresh draw of seeds would change."""
    said = _of_two(report, results, results.scores) if results.scores else _of_several(report)
    return (*said, *_seeds(results.image_noise, report.study))


def _of_several(report: AgreementReport) -> tuple[str, ...]:
    return (f"The mean scores of the {len(report.study.models)} models are in the chapter “The models in order”.",)


def _of_two(report: AgreementReport, results: Results, scores: Scores) -> tuple[str, ...]:
    a, b = scores.model_a, scores.model_b
    if a.median is None or b.median is None:
        return (f"The scores are undefined: {a.reason}.",)
    metric, study = short_metric(report.study.metric), report.study
    named = [row.metric_winner for row in results.comparisons if row.metric_winner]
    first, ties = named.count("A"), named.count("tie")
    medians = f"{score(a.median)} for A ({study.model_a}) and {score(b.median)} for B ({study.model_b})"
    winners = f"{metric} names A on {first} of {counted(len(named), 'comparison')}, B on {len(named) - first - ties}"
    tied = f", neither on {ties}" if ties else ""
    lower = " Lower is more consistent." if study.is_lower_more_consistent else ""
    return (f"The median score is {medians}.{lower} {winners}{tied}. {_test_in_words(scores)}",)


def _test_in_words(scores: Scores) -> str:
    """The paired test with its effect."""
    test, effect = scores.wilcoxon.test, scores.wilcoxon.rank_biserial
    if test.p_value is None or effect.value is None:
        return f"Whether the paired scores differ is undefined: {test.reason or effect.reason}."
    return f"The paired test: {p_value(test)}, rank-biserial effect {around(effect, coefficient)}."


def _seeds(noise: ImageNoise, study: StudyFacts) -> tuple[str, ...]:
    """Return sentences on what other seeds would change; without images, why nothing is known."""
    fresh = noise.fresh_seeds
    if not study.metric:
        return ()
    if noise.images is None:
        return (f"What other images would change is undefined: {noise.reason}.",)
    if fresh is None:
        return ()
    if fresh.other_winners is None or fresh.doubtful is None:
        return (f"What a fresh draw of seeds would change is undefined: {fresh.reason}.",)
    said = (
        f"Each score rests on {noise.images} images. A fresh draw of as many seeds is expected to change "
        f"{percent(fresh.other_winners)} of the winners, and could well change {fresh.doubtful} of "
        f"{counted(noise.comparisons, 'winner')}."
    )
    if fresh.agreement_where_clear.value is not None and fresh.doubtful:
        clear = fresh.agreement_where_clear
        said += f" Without these the strict agreement is {within(clear)} of {counted(clear.n, 'comparison')}."
    return (said,)
