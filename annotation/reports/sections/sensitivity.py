"""The agreement computed in other ways. Pure."""

from annotation.reports.findings.agreement import Agreement
from annotation.reports.findings.sensitivity import Bar, Sensitivity, SkillModel
from annotation.reports.findings.study_facts import Facts
from annotation.reports.printing.blocks import Figure, Row, Section, bracketed, share_row, without_resampling
from annotation.reports.printing.numbers import coefficient, percent, points
from jobs.wording import counted

_PRIORS = {"uniform": "winners held equally frequent", "learned": "their frequencies estimated too"}


def section(values: tuple[Sensitivity, Agreement], facts: Facts) -> Section:
    """Resampled annotators, annotators weighed by skill, and the distribution behind the bootstrap interval."""
    sensitivity, agreement = values
    two_way = sensitivity.two_way
    rows = [share_row("Comparisons and annotators both resampled, strict", two_way.agreement)]
    if two_way.bias is not None and two_way.standard_error is not None and two_way.mean_dropped is not None:
        n, how = two_way.agreement.n, without_resampling(two_way.agreement.method)
        dropped = f"on average {two_way.mean_dropped:.1f} comparisons lost all their votes and dropped out"
        rows += [
            Row("Mean of these resamples minus the estimate", points(two_way.bias), n=n, method=how, remark=dropped),
            Row("Their standard error", points(two_way.standard_error), n=n),
        ]
    if two_way.least is not None and two_way.greatest is not None:
        reach = bracketed(two_way.least, two_way.greatest, percent)
        label = "Least and greatest, strict, with one annotator left out"
        rows.append(Row(label, "", reach, n=two_way.agreement.n))
    rows += [_skill_row(model) for model in sensitivity.dawid_skene]
    text = (
        "The headline takes the annotators as given and their votes as equal. Here annotators are drawn anew too "
        "(Owen, 2007), which makes majorities noisier and so moves the agreement, mostly down; and the winners are "
        "those of Dawid and Skene's model (1979), which weighs annotators by how reliable they seem. Neither replaces "
        "the headline."
    )
    figures = _figures(sensitivity.bootstrap, agreement, facts.study.resamples)
    return Section("sensitivity", "Other ways to compute it", (text,), tuple(rows), figures=figures, is_part=True)


def _skill_row(model: SkillModel) -> Row:
    changed = "" if model.changed is None else f"{model.changed} of {model.comparisons} winners change"
    remark = "; ".join([changed, *model.warnings] if changed else model.warnings)
    return share_row(f"Dawid-Skene, {_PRIORS[model.prior]}", model.agreement, remark=remark)


def _figures(bars: tuple[Bar, ...], agreement: Agreement, resamples: int) -> tuple[Figure, ...]:
    if not bars:
        return ()
    caption = (
        f"How often each agreement came up in {resamples} resamples of clusters of comparisons, the votes "
        f"within them fixed; n = {counted(agreement.bootstrap.n, 'comparison')}, {agreement.endpoint} treatment of "
        "ties. Line: the estimate; shaded: the percentile interval, if there is one."
    )
    most = max(bars, key=lambda bar: bar.resamples)
    words = f"from {coefficient(bars[0].low)} to {coefficient(bars[-1].high)}, most often about "
    words += coefficient((most.low + most.high) / 2)
    return (Figure("bootstrap", "Bootstrap distribution of the agreement", caption, words),)
