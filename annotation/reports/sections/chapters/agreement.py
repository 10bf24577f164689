"""How often the metric and the votes agree, in sentences. Pure."""

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.agreement.margins import Margins
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Counts
from annotation.reports.printing.numbers import coefficient, percent, score
from annotation.reports.printing.phrases import right_on
from annotation.reports.printing.sentences import around, of_all, short_metric, within
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the agreement, what ties and chance make of it, and how it grows with the margin."""
    agreement, metric = results.agreement, short_metric(report.study.metric)
    if agreement.headline.value is None:
        return (f"The agreement is undefined: {agreement.headline.reason}.",)
    found = f"{metric} chose {report.counts.their_model} on {right_on(agreement, agreement.headline)}, "
    found += f"{within(agreement.headline)}."
    said = (found, *_fallen(agreement, report.counts), *_ties(agreement), *_chance(agreement))
    more = (*_margins(results.margins, metric), *_greatest(results.people.greatest_agreement))
    return tuple(" ".join(part) for part in (said, more) if part)


def _fallen(agreement: Agreement, counts: Counts) -> tuple[str, ...]:
    """The bounds of the agreement if comparisons fell out."""
    fallen = counts.planned_comparisons - counts.analysed_comparisons
    if not fallen:
        return ()
    return (
        f"{counted(fallen, 'planned comparison')} fell out: with all of them wrong the strict agreement would be "
        f"{percent(agreement.bounds.worst)}, with all of them right {percent(agreement.bounds.best)}.",
    )


def _ties(agreement: Agreement) -> tuple[str, ...]:
    """Return sentences with the agreement under the other treatments of ties."""
    strict, half, dropped = (one.headline for one in (agreement.strict, agreement.half, agreement.dropped))
    if dropped.n == strict.n:
        return ("No winner is tied, so the treatment of ties makes no difference.",)
    if dropped.value is None:
        without = "and no comparison is left without ties"
    else:
        without = f"and {_plain(dropped)} of {counted(dropped.n, 'comparison')} without ties"
    return (
        f"The agreement is {_plain(strict)} if a tie on one side is a disagreement, {_plain(half)} if it counts one "
        f"half, {without}.",
    )


def _chance(agreement: Agreement) -> tuple[str, ...]:
    kappa = agreement.chance_corrected.kappa
    if kappa.value is None:
        return (f"Cohen's kappa, the agreement beyond chance, is undefined: {kappa.reason}.",)
    return (f"Beyond chance, Cohen's kappa is {around(kappa, coefficient)}.",)


def _margins(margins: Margins, metric: str) -> tuple[str, ...]:
    """How often they agree where the metric is least and most sure."""
    if len(margins.by_margin) < 2:
        return ()
    first, last = margins.by_margin[0], margins.by_margin[-1]
    if first.agreement.value is None or last.agreement.value is None:
        return ()
    return (
        f"Where the margin of {metric} is smallest ({_span(first.low, first.high)} points) they agree on "
        f"{of_all(first.agreement)}, where it is largest ({_span(last.low, last.high)}) on "
        f"{of_all(last.agreement)}.",
    )


def _span(low: float, high: float) -> str:
    """Return the margins of a bin in words; one margin if the bin holds one comparison."""
    return score(low) if score(low) == score(high) else f"{score(low)} to {score(high)}"


def _greatest(greatest: Estimate) -> tuple[str, ...]:
    if greatest.value is None:
        return ()
    return (f"With votes as noisy as these, no metric is expected to agree on more than about {within(greatest)}.",)


def _plain(estimate: Estimate) -> str:
    return percent(estimate.value or 0.0)
