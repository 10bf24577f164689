"""The number of comparisons that the next study needs. Pure."""

from annotation.reports.findings.power import Needed, Power
from annotation.reports.findings.study_facts import Facts
from annotation.reports.printing.blocks import UNDEFINED, Section, Table
from annotation.reports.printing.numbers import percent


def section(power: Power, _facts: Facts) -> Section:
    """The comparisons needed against the baseline and one half, and the power of several numbers."""
    text = (
        f"Exact one-sided binomial tests at {power.significance_level:g}, power {percent(power.target)}, as if the "
        "true agreement were the one observed here; power is a sawtooth in the number of comparisons, so the first "
        "that suffices and the number that is safe differ. The chance to repeat this result, not proof of it."
    )
    needed = Table(
        "Comparisons that the next study needs",
        ("Against", "Agreement", "To beat", "First", "Rejects from", "Safe", "Shown with this study's number from"),
        (
            _needed("Always naming one model", power.against_baseline),
            _needed("One half", power.against_one_half),
        ),
        (1, 2, 3, 4, 5, 6),
    )
    return Section("power", "Power", (text,), tables=(needed, _curve(power)))


def _needed(name: str, row: Needed) -> tuple[str, ...]:
    shares = tuple(UNDEFINED if share is None else percent(share) for share in (row.agreement, row.baseline))
    numbers = ("–" if number is None else str(number) for number in (row.first, row.rejects_from, row.safe))
    label = f"{name} ({row.reason})" if row.reason else name
    return label, *shares, *numbers, _detectable(row)


def _detectable(row: Needed) -> str:
    if row.detectable is not None:
        return percent(row.detectable)
    return "not even 100 %" if row.baseline is not None and 0 < row.baseline < 1 else "–"


def _curve(power: Power) -> Table:
    rows = tuple(
        (str(row.comparisons), _percent(row.against_baseline), _percent(row.against_one_half))
        for row in power.by_comparisons
    )
    head = ("Comparisons", "Against always naming one model", "Against one half")
    return Table("Power by number of comparisons", head, rows, (0, 1, 2))


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share)
