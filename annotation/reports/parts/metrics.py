"""Several metrics on the same votes. Pure."""

from annotation.reports.agreement_report import Results
from annotation.reports.claim import metric_name
from annotation.reports.numbers import percent, probability
from annotation.reports.presentation import Section, share_row, significance_row
from scoring.statistics.metric_pairs import MetricPair


def metrics_section(found: Results) -> tuple[Section, ...]:
    """None where there is one metric only."""
    lab = found.metrics
    if len(lab.metrics) < 2:
        return ()
    rows = []
    for row in lab.metrics:
        rows += [
            share_row(metric_name(row.metric), row.agreement),
            share_row(f"{metric_name(row.metric)}, common comparisons", row.on_common),
        ]
    for pair in lab.pairs:
        names = f"{metric_name(pair.first)} against {metric_name(pair.second)}"
        rows += [
            share_row(f"{names}: difference", pair.difference, remark=_equivalence(pair, lab.equivalence_margin)),
            significance_row(f"{names}: exact", pair.mcnemar),
            significance_row(f"{names}: metrics exchanged", pair.permutation, remark=_adjusted(pair)),
        ]
    text = (
        f"Strict agreement of every metric with the same votes; pairs on the {lab.common_comparisons} comparisons "
        f"that all of them scored. Holm's correction over the pairs. {_margin(lab.equivalence_margin, found)}"
    )
    return (Section("metrics", "Several metrics on the same votes", (text,), tuple(rows)),)


def _margin(margin: float | None, found: Results) -> str:
    if margin is None:
        return (
            "No margin of equivalence was fixed before the votes, so none is tested: no difference shown is not "
            "equality."
        )
    level = found.agreement.headline.level
    return (
        f"The manifest fixed a margin of equivalence of {percent(margin)}: two metrics are equivalent within it where "
        f"the {100 * (2 * level - 1):g} % interval of their difference lies inside (two one-sided tests)."
    )


def _equivalence(pair: MetricPair, margin: float | None) -> str:
    if margin is None:
        return ""
    if pair.is_equivalent is None:
        return "equivalence undefined: no interval"
    return f"{'' if pair.is_equivalent else 'not '}shown to be equivalent within {percent(margin)}"


def _adjusted(pair: MetricPair) -> str:
    return "" if pair.adjusted is None else f"after Holm's correction p {probability(pair.adjusted)}"
