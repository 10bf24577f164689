"""The scores of the models and what they owe to the seeds, in sentences. Pure."""

from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.scores.scores import Scores
from annotation.reports.printing.numbers import coefficient, p_value, percent, score
from annotation.reports.printing.sentences import around, short_metric, within
from jobs.wording import counted


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return which model scores higher and how often, and what a fresh draw of seeds would change."""
    said = _of_two(report, results, results.scores) if results.scores else _of_several(report)
    return (*said, *_seeds(results.image_noise))


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
    return (f"The median score is {medians}.{lower} {winners}{tied}. {_paired(scores)}",)


def _paired(scores: Scores) -> str:
    """The paired test with its effect."""
    test, effect = scores.wilcoxon.test, scores.wilcoxon.rank_biserial
    if test.p_value is None or effect.value is None:
        return f"Whether the paired scores differ is undefined: {test.reason or effect.reason}."
    return f"The paired test: {p_value(test)}, rank-biserial effect {around(effect, coefficient)}."


def _seeds(noise: ImageNoise) -> tuple[str, ...]:
    """Return sentences on what other seeds would change; without images, why nothing is known."""
    fresh = noise.fresh_seeds
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
