"""The fewest votes whose removal reverses the result, and the agreement without each annotator. Pure."""

from annotation.reports.findings.agreement.fragility import FewestBelow, Fragility
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Row, Section, Table
from annotation.reports.printing.numbers import percent
from annotation.reports.printing.phrases import constant_choice
from scoring.statistics.agreement.fragility import FewestVotes, LeadFragility

IMPOSSIBLE = "not possible"


def section(fragility: Fragility, facts: Facts) -> Section:
    """The fewest votes that reverse the winner or the agreement, and the agreement without each annotator."""
    votes, study = facts.counts.votes, facts.study
    rows = (
        *(_lead(fragility.lead, facts) if fragility.lead else ()),
        _below("Votes to remove until the agreement leaves its own interval", fragility.below_interval, votes),
        _below(f"Votes to remove until {constant_choice(study)} does better", fragility.below_baseline, votes),
    )
    only = "" if fragility.lead else " The lead of one model over another is on the page of each pair."
    text = (
        "The fewest votes whose removal would turn a result, found exactly; n is the number of votes there are. "
        f"Agreement is strict, its number of comparisons held fixed.{only}"
    )
    table = Table(
        "Strict agreement with one annotator left out",
        ("Without", "Agreement", "Comparisons left"),
        tuple((row.annotator, percent(row.agreement), str(row.n)) for row in fragility.without_each),
        (1, 2),
        is_long=True,
    )
    return Section("fragility", "Fragility", (text,), rows, (table,) if table.rows else ())


def _lead(lead: LeadFragility, facts: Facts) -> tuple[Row, ...]:
    names, votes = {"A": facts.study.model_a, "B": facts.study.model_b}, facts.counts.votes
    who = "" if lead.leader is None else f"{lead.leader} ({names[lead.leader]}) leads by {lead.lead}"
    return (
        _fewest("Votes to remove until the lead in comparisons won is lost", lead.to_lose, votes, who),
        _fewest("Votes to remove until the other model leads", lead.to_reverse, votes, ""),
    )


def _fewest(label: str, fewest: FewestVotes, votes: int, remark: str) -> Row:
    value = IMPOSSIBLE if fewest.votes is None else str(fewest.votes)
    return Row(label, value, n=votes, remark="; ".join(part for part in (fewest.reason, remark) if part))


def _below(label: str, below: FewestBelow, votes: int) -> Row:
    target = "" if below.target is None else f"target: below {percent(below.target)}"
    return _fewest(label, FewestVotes(below.votes, below.reason), votes, target)
