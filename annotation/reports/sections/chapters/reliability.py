"""How well annotators agree with each other, in sentences. Pure."""

from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.numbers import coefficient, percent, points
from annotation.reports.printing.phrases import beyond_chance, first_votes_note
from annotation.reports.printing.sentences import around, sentence, within
from jobs.wording import counted
from scoring.statistics.people.leave_one_out import Compared
from scoring.statistics.people.reliability import Reliability


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the agreement of two annotators, alpha, unanimous comparisons, and one annotator against the others."""
    voted = [(row.votes_a, row.votes_b, row.votes_tie) for row in results.comparisons]
    shared = [counts for counts in voted if sum(counts) > 1]
    unanimous = sum(max(counts) == sum(counts) for counts in shared)
    said = [*_coefficients(results.reliability, has_several=report.study.are_several)]
    if shared:
        those = counted(len(shared), "comparison")
        said.append(f"The votes are unanimous on {unanimous} of {those} with two votes or more.")
    said += first_votes_note(report.manifest)
    return " ".join(said), *_against_the_others(results.people.leave_one_out.by_comparison)


def _coefficients(found: Reliability, *, has_several: bool) -> tuple[str, ...]:
    pair, alpha = found.pairwise_agreement, found.alpha
    if pair.value is None:
        return (f"How reliable the votes are is undefined: {pair.reason}.",)
    first = f"Two annotators of one comparison agree in {within(pair)} of cases."
    if alpha.value is None:
        return first, f"Krippendorff's alpha is undefined: {alpha.reason}."
    second = f"Krippendorff's alpha, which is 0 at chance, is {around(alpha, coefficient)}."
    how = beyond_chance(alpha)
    beyond = "Beyond the order of the models, annotators" if has_several else "Annotators"
    return first, second, *((sentence(f"{beyond} {how}"),) if how else ())


def _against_the_others(compared: Compared) -> tuple[str, ...]:
    people, metric, gap = compared.people, compared.metric, compared.difference
    if people.value is None or metric.value is None or gap.value is None:
        return (f"How often one annotator agrees with the others is undefined: {people.reason}.",)
    return (
        f"One annotator agrees with the winner of the other votes on {within(people)}, and the metric in their place "
        f"on {percent(metric.value)}. Metric minus annotator, in points: {around(gap, _points)}.",
    )


def _points(value: float) -> str:
    return points(value).removesuffix(" points")
