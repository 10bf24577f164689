"""The figure of the claim: agreement, constant choice, people and reliability on one axis. Pure."""

from annotation.reports.findings.results import Results
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Figure, Numbers, coefficient_row, in_words, share_row
from annotation.reports.printing.phrases import constant_choice
from jobs.wording import counted


def numbers(facts: Facts, results: Results) -> Numbers:
    """Return the numbers of the claim's figure: agreement, constant choice, people, a new annotator, reliability.

    A report of version 0.2 has no new annotator.
    """
    agreement, single, alpha = results.agreement, results.single_votes, results.reliability.alpha
    pick = (
        "The best fixed order" if facts.study.are_several else f"Always naming {' or '.join(agreement.baseline.models)}"
    )
    shares = [
        (f"Metric agrees with {facts.counts.voters}", agreement.headline),
        (pick, agreement.baseline.agreement),
        ("One annotator agrees with the others", results.people.leave_one_out.by_comparison.people),
    ]
    if single:
        shares += [
            ("A new annotator agrees with the metric", single.metric),
            ("A new annotator agrees with another", single.people),
        ]
    return (
        *((share_row(label, estimate), estimate) for label, estimate in shares),
        (coefficient_row("Reliability, Krippendorff's alpha", alpha), alpha),
    )


def main_numbers(facts: Facts, results: Results) -> Numbers:
    """Return the four large numbers: agreement, constant choice, one annotator against the others, reliability."""
    found = numbers(facts, results)
    return (*found[:3], found[-1])


def figure(facts: Facts, results: Results) -> Figure:
    """The figure beside the claim."""
    headline, single, alpha = results.agreement.headline, results.single_votes, results.reliability.alpha
    has_none = "without an interval"
    how = has_none if single and single.metric.low is None else "two-way jackknife, for annotators like these"
    new = f"; a new annotator on a new prompt ({how})" if single else ""
    resampled = has_none if alpha.low is None else "bootstrap over clusters"
    caption = (
        f"The claim on one axis with {100 * headline.level:g} % intervals, n = "
        f"{counted(headline.n, 'comparison')}: "
        f"agreement ({headline.method}), {constant_choice(facts.study)} (Wilson; dotted line), one annotator with the "
        f"winner of the other votes (score interval), Krippendorff's alpha ({resampled}){new}."
    )
    said = in_words(numbers(facts, results))
    return Figure("claim", "The claim in numbers", caption, said)
