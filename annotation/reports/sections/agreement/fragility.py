"""The fewest votes whose removal reverses the result, and the agreement without each annotator. Pure."""

from annotation.reports.findings.agreement.fragility import FewestBelow, Fragility
from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import Row, Section, Table
from annotation.reports.printing.doubts import doubts
from annotation.reports.printing.numbers import percent, probability
from annotation.reports.printing.phrases import constant_choice
from annotation.reports.printing.sentences import sentence, side_mattered
from jobs.wording import counted
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


# --- what speaks against the result, in sentences: bias, exclusions, fragility ------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return each reason to doubt the result, the side, the exclusions, and how few votes would turn the result."""
    reasons = map(sentence, doubts(report.study, report.counts, report.manifest, results.doubted))
    mattered = side_mattered(results.bias.position, level=report.study.level)  # then it is among the reasons
    votes = ("" if mattered else sentence(_side(results.bias)), _exclusions(report, results))
    turned = _fragility_in_words(results.fragility, report.study) if report.counts.analysed_comparisons else ()
    parts = (reasons, votes, turned)
    return tuple(text for part in parts if (text := " ".join(filter(None, part))))


def _side(bias: Bias) -> str:
    """How often left was chosen, as a clause."""
    position = bias.position
    if position is None:
        return f"whether the side mattered is undefined: {bias.reason}"
    share, test = position.share, position.t_test
    if test.p_value is None:
        share, test = position.pooled_share, position.pooled_test
    if share.value is None or test.p_value is None:
        return f"whether the side mattered is undefined: {test.reason or share.reason}"
    p = probability(test.p_value)
    return f"left was chosen in {percent(share.value)} of the votes for a side ({test.method}, p {p})"


def _exclusions(report: AgreementReport, results: Results) -> str:
    excluded, with_them = report.counts.excluded_votes, results.agreement.with_excluded_votes
    if not excluded:
        return "No vote was excluded."
    were = f"{counted(excluded, 'vote')} {'was' if excluded == 1 else 'were'} excluded"
    if with_them is None or with_them.value is None:
        return f"{were}."
    them = "it" if excluded == 1 else "them"
    return f"{were}; with {them} the agreement would be {percent(with_them.value)}."


def _fragility_in_words(found: Fragility, study: StudyFacts) -> tuple[str, ...]:
    said = [] if found.lead is None else [_lead_in_words(found.lead, study)]
    if found.below_interval.votes is not None:
        said.append(
            f"If {counted(found.below_interval.votes, 'chosen vote')} were removed, the strict agreement would leave "
            "its own interval."
        )
    if found.below_baseline.votes is not None:
        said.append(
            f"If {counted(found.below_baseline.votes, 'chosen vote')} were removed, it would fall below "
            f"{'the best fixed order' if study.are_several else 'the constant choice'}."
        )
    shares = [row.agreement for row in found.without_each]
    if len(shares) > 1:
        least, greatest = percent(min(shares)), percent(max(shares))
        between = f"is {least}" if least == greatest else f"lies between {least} and {greatest}"
        said.append(f"With any one annotator left out, the strict agreement {between}.")
    return tuple(said)


def _lead_in_words(lead: LeadFragility, study: StudyFacts) -> str:
    if lead.leader is None:
        return "Neither model leads in comparisons won."
    name = {"A": study.model_a, "B": study.model_b}[lead.leader]
    leads = f"{lead.leader} ({name}) leads by {counted(lead.lead, 'comparison')} won"
    if lead.to_lose.votes is None:
        return f"{leads}, and no removal of votes ends the lead."
    return f"{leads}; to end the lead {counted(lead.to_lose.votes, 'vote')} would have to go."
