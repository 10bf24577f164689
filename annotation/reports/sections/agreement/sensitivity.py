"""The agreement computed in other ways. Pure."""

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.agreement.sensitivity import Bar, Sensitivity, SkillModel
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Figure, Row, Section, share_row
from annotation.reports.printing.numbers import coefficient
from jobs.wording import counted

_PRIORS = {"uniform": "winners held equally frequent", "learned": "their frequencies estimated too"}


def section(values: tuple[Sensitivity, Agreement], facts: Facts) -> Section:
    """Annotators weighed by skill, and the distribution behind the bootstrap interval."""
    sensitivity, agreement = values
    rows = tuple(_skill_row(model) for model in sensitivity.dawid_skene)
    text = (
        "The headline takes all votes as equal. Here the winners are those of Dawid and Skene's model (1979), which "
        "weighs annotators by how reliable they seem. It does not replace the headline."
    )
    figures = _figures(sensitivity.bootstrap, agreement, facts.study.resamples)
    return Section("sensitivity", "Other ways to compute it", (text,), rows, figures=figures, is_part=True)


def _skill_row(model: SkillModel) -> Row:
    changed = "" if model.changed is None else f"{model.changed} of {counted(model.comparisons, 'winner')} changed"
    remark = "; ".join([changed, *model.warnings] if changed else model.warnings)
    return share_row(f"Dawid-Skene, {_PRIORS[model.prior]}", model.agreement, remark=remark)


def _figures(bars: tuple[Bar, ...], agreement: Agreement, resamples: int) -> tuple[Figure, ...]:
    if len(bars) < 2:  # all resamples are equal, as the number's own row says
        return ()
    caption = (
        f"How often each agreement came up in {resamples} resamples of clusters of comparisons, the votes "
        f"within them fixed; n = {counted(agreement.bootstrap.n, 'comparison')}, {agreement.endpoint} treatment of "
        "ties. Line: the estimate; shaded: the percentile interval, if there is one."
    )
    most = max(bars, key=lambda bar: bar.resamples)
    first, last, often = (coefficient((bar.low + bar.high) / 2) for bar in (bars[0], bars[-1], most))
    words = f"from about {first} to {last}, most often about {often}"
    return (Figure("bootstrap", "Bootstrap distribution of the agreement", caption, words),)
