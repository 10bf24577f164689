"""Which figures a report has, what they hold, and what each caption says: what is drawn, n, the method. Pure."""

from annotation.reports.agreement_report import AgreementReport, ModelScores, Results
from annotation.reports.sections.blocks import Figure, Row, coefficient_row, share_row
from annotation.reports.sections.claim import metric_name, people
from annotation.reports.sections.numbers import score
from jobs.wording import counted
from scoring.statistics.estimate import Estimate

CLAIM, AGREEMENT, BOX, DENSITY = "claim", "agreement", "scores-box", "scores-density"
BOOTSTRAP, VOTES, VOTERS, MARGIN, CALIBRATION = "bootstrap", "votes", "annotators", "margin", "calibration"
IMAGES, SCORES_BY_IMAGES = "images", "scores-images"  # only where images were embedded; the others always
FIGURES = (CLAIM, AGREEMENT, BOOTSTRAP, VOTES, BOX, DENSITY, MARGIN, CALIBRATION, VOTERS)

Numbers = tuple[tuple[Row, Estimate], ...]


def claim_numbers(report: AgreementReport, found: Results) -> Numbers:
    """The four numbers of the claim card: agreement, baseline, people, reliability."""
    pick = " or ".join(found.baseline.models)
    shares = (
        (f"Metric agrees with {people(report.counts)}", found.agreement.headline),
        (f"Always naming {pick}", found.baseline.agreement),
        ("One annotator agrees with the others", found.leave_one_out.by_comparison.people),
    )
    alpha = found.reliability.alpha
    return (
        *((share_row(label, estimate), estimate) for label, estimate in shares),
        (coefficient_row("Reliability, Krippendorff's alpha", alpha), alpha),
    )


def agreement_numbers(found: Results) -> Numbers:
    """Agreement under the three treatments of ties."""
    agreement = found.agreement
    shares = (
        ("Strict, Wilson", agreement.strict.wilson),
        ("Strict, Clopper-Pearson", agreement.strict.clopper_pearson),
        ("Strict, bootstrap", agreement.strict.bootstrap),
        ("Half credit, bootstrap", agreement.half.bootstrap),
        ("Ties dropped, Wilson", agreement.dropped.wilson),
        ("Ties dropped, Clopper-Pearson", agreement.dropped.clopper_pearson),
        ("Ties dropped, bootstrap", agreement.dropped.bootstrap),
    )
    return tuple((share_row(label, estimate), estimate) for label, estimate in shares)


def claim_figure(report: AgreementReport, found: Results) -> Figure:
    """The claim card's figure."""
    headline = found.agreement.headline
    caption = (
        f"Four numbers on one axis with their {100 * headline.level:g} % intervals, n = "
        f"{counted(headline.n, 'comparison')}: "
        f"agreement ({headline.method}), always naming one model (Wilson; dotted line), one annotator with the "
        "majority of the others and Krippendorff's alpha (both by bootstrap over clusters)."
    )
    return Figure(CLAIM, "The claim in four numbers", caption, _words(claim_numbers(report, found)))


def agreement_figure(found: Results) -> Figure:
    """The three treatments of ties."""
    caption = (
        "Agreement under the three treatments of ties with the intervals of Wilson, of Clopper and Pearson, and by "
        f"bootstrap over clusters; n = {counted(found.agreement.strict.wilson.n, 'comparison')}, ties dropped "
        f"n = {found.agreement.dropped.wilson.n}. The dotted line is always naming one model."
    )
    return Figure(AGREEMENT, "Agreement by treatment of ties", caption, _words(agreement_numbers(found)))


def score_figures(report: AgreementReport, found: Results) -> tuple[Figure, ...]:
    """The paper's box plot and kernel density; none where there is no score."""
    n = found.scores.model_a.n
    if not n:
        return ()
    metric, models = metric_name(report.study.metric), _models(report, found)
    box = (
        f"{metric} of each model's image sets, n = {counted(n, 'comparison')}. Line: median; box: quartiles; "
        "whiskers: the last "
        "score within 1.5 times the box; squares (A) and circles (B): every set, spread out so that they do not hide "
        "each other."
    )
    density = (
        f"Gaussian kernel density of {metric} by model, bandwidth by Scott's rule, n = {counted(n, 'set')} a model."
    )
    equal = [name for name, scores in models if has_no_density(scores)]
    if equal:
        density += f" No density for {' and '.join(equal)}, whose scores are all equal: drawn as one line."
    words = "; ".join(
        f"{name}: median {score(scores.median)}, from {score(scores.least)} to {score(scores.greatest)}"
        for name, scores in models
    )
    return Figure(BOX, "Scores by model", box, words), Figure(DENSITY, "Distribution of the scores", density, words)


def has_no_density(scores: ModelScores) -> bool:
    """Whether all scores are equal, so that a kernel density does not exist."""
    return scores.least == scores.greatest


def _models(report: AgreementReport, found: Results) -> tuple[tuple[str, ModelScores], ...]:
    study = report.study
    return (f"A ({study.model_a})", found.scores.model_a), (f"B ({study.model_b})", found.scores.model_b)


def _words(numbers: Numbers) -> str:
    return "; ".join(f"{row.label}: {row.value} {row.interval or row.remark}".strip() for row, _ in numbers)
