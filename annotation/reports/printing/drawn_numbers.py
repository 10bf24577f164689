"""The numbers that a section prints and a figure draws. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.people.people import People
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Numbers, coefficient_row, share_row
from scoring.statistics.people.reliability import Reliability
from scoring.statistics.people.single_votes import SingleVotes

Claimed = tuple[Agreement, People, SingleVotes | None, Reliability]  # the findings that the claim's figure shows
MOST_SHOWN = 3  # disagreements
NAMED = ("A", "B")


def claim_numbers(facts: Facts, claimed: Claimed) -> Numbers:
    """Return the numbers of the claim's figure: agreement, constant choice, people, a new annotator, reliability.

    A report of version 0.2 has no new annotator.
    """
    agreement, people, single, reliability = claimed
    alpha = reliability.alpha
    pick = (
        "The best fixed order" if facts.study.are_several else f"Always naming {' or '.join(agreement.baseline.models)}"
    )
    shares = [
        (f"Metric agrees with {facts.counts.voters}", agreement.headline),
        (pick, agreement.baseline.agreement),
        ("One annotator agrees with the others", people.leave_one_out.by_comparison.people),
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


def main_numbers(facts: Facts, claimed: Claimed) -> Numbers:
    """Return the four large numbers: agreement, constant choice, one annotator against the others, reliability."""
    found = claim_numbers(facts, claimed)
    return (*found[:3], found[-1])


def agreement_numbers(agreement: Agreement) -> Numbers:
    """Agreement under the three treatments of ties."""
    shares = (
        ("Strict, Wilson", agreement.strict.wilson),
        ("Strict, Clopper-Pearson", agreement.strict.clopper_pearson),
        ("Strict, bootstrap", agreement.strict.bootstrap),
        *((("Half credit, score interval", agreement.half.score),) if agreement.half.score else ()),
        ("Half credit, bootstrap", agreement.half.bootstrap),
        ("Ties dropped, Wilson", agreement.dropped.wilson),
        ("Ties dropped, Clopper-Pearson", agreement.dropped.clopper_pearson),
        ("Ties dropped, bootstrap", agreement.dropped.bootstrap),
    )
    return tuple((share_row(label, estimate), estimate) for label, estimate in shares)


def timed_annotators(bias: Bias, facts: Facts) -> list[tuple[float, float, int]]:
    """Median response time in seconds, agreement with the others, and votes of each annotator who has all three."""
    times = {row.pseudonym: row.median_response_seconds for row in facts.quality.annotators}
    return [(time, row.agreement, row.votes) for row in bias.annotators if (time := times[row.annotator]) is not None]


# --- disagreements ------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Disagreement:
    """A comparison on which the votes and the metric name different models.

    seed_errors: the margin over its standard error over seeds; None if that is unknown or zero.
    """

    row: ComparisonRow
    seed_errors: float | None


def disagreements(rows: Sequence[ComparisonRow], noise: ImageNoise) -> tuple[Disagreement, ...]:
    """Return all disagreements: the largest margin over its seed error first; without seed errors the largest margin.

    If some have a seed error and others do not, the ones without come last.
    """
    errors = {one.position: one.standard_error for one in noise.margins}
    found = [Disagreement(row, _ratio(row, errors.get(row.position))) for row in rows if _differ(row)]
    return tuple(sorted(found, key=_surest_first))


def _differ(row: ComparisonRow) -> bool:
    return row.people_winner in NAMED and row.metric_winner in NAMED and row.people_winner != row.metric_winner


def _ratio(row: ComparisonRow, error: float | None) -> float | None:
    return abs(row.margin) / error if error and row.margin is not None else None


def _surest_first(one: Disagreement) -> tuple[bool, float, float, int]:
    return (one.seed_errors is None, -(one.seed_errors or 0.0), -abs(one.row.margin or 0.0), one.row.position)
