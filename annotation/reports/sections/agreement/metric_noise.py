"""How much the other metrics depend on which images there are: tables of the section on several metrics. Pure."""

from annotation.reports.findings.agreement.metric_noise import MetricNoise
from annotation.reports.printing.blocks import UNDEFINED, Table
from annotation.reports.printing.numbers import metric_name, percent
from jobs.wording import counted


def tables(rows: tuple[MetricNoise, ...]) -> tuple[Table, ...]:
    """Print how fresh seeds would change each metric's winners, and fewer images its agreement."""
    if not rows:
        return ()
    fresh = tuple((metric_name(row.metric), str(row.comparisons), str(row.images), *_chances(row)) for row in rows)
    head = ("Metric", "Comparisons", "Images", "Winners changed, expected", "Doubtful")
    caption = (
        "A fresh draw of seeds, the same for both models and all prompts: the winners that it would change, and the "
        "comparisons in which it changes them with a chance above 5 % (jackknife over seeds, shrunk over comparisons)"
    )
    return (Table(caption, head, fresh, (1, 2, 3, 4)), *(_with_fewer(row) for row in rows))


def _chances(row: MetricNoise) -> tuple[str, str]:
    if row.noise.other_winners is None or row.noise.doubtful is None:
        return f"{UNDEFINED}: {row.noise.reason}", UNDEFINED
    return percent(row.noise.other_winners), str(row.noise.doubtful)


def _with_fewer(row: MetricNoise) -> Table:
    caption = (
        f"{metric_name(row.metric)}, had there been fewer images: {counted(row.compared, 'comparison')}, means over "
        f"{counted(row.subsets, 'subset')} without replacement; ± is how far a margin strays from that of all images"
    )
    rows = tuple(
        (str(one.images), percent(one.agreement), percent(one.same_winner), f"± {one.margin_error:.3g}")
        for one in row.fewer
    )
    return Table(caption, ("Images a set", "Agreement", "Winner as with all", "Margin"), rows, (0, 1, 2, 3))
