"""The scores of the two models side by side. Pure."""

from annotation.reports.findings.scores.scores import ModelScores, Scores
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Figure, Section, Table, coefficient_row, significance_row
from annotation.reports.printing.numbers import directed_metric, score
from jobs.wording import counted

Named = tuple[tuple[str, ModelScores], ...]


def section(scores: Scores, facts: Facts) -> Section:
    """The scores of each model, tests between them, the paper's box plot and kernel density."""
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
    return Section("scores", "The scores of the two models", (), rows, (table,), _figures(metric, models))


def _model(name: str, scores: ModelScores) -> tuple[str, ...]:
    numbers = (scores.mean, scores.median, scores.standard_deviation, scores.least, scores.greatest)
    return name, str(scores.n), *(score(number) for number in numbers)


def _figures(metric: str, models: Named) -> tuple[Figure, ...]:
    """The box plot and the kernel density; no figure without scores."""
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
    equal = [name for name, scores in models if scores.are_equal]
    if equal:
        density += f" No density for {' and '.join(equal)}, whose scores are all equal: drawn as one line."
    words = "; ".join(
        f"{name}: median {score(scores.median)}, from {score(scores.least)} to {score(scores.greatest)}"
        for name, scores in models
    )
    return Figure("scores-box", "Scores by model", box, words), Figure(
        "scores-density", "Distribution of the scores", density, words
    )
