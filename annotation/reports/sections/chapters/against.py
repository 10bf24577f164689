"""What speaks against the result, in sentences: bias, exclusions, fragility. Pure."""

from annotation.reports.findings.agreement.fragility import Fragility
from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import StudyFacts
from annotation.reports.printing.doubts import doubts
from annotation.reports.printing.numbers import p_value, percent
from annotation.reports.printing.phrases import side_mattered
from annotation.reports.printing.sentences import sentence
from jobs.wording import counted
from scoring.statistics.agreement.fragility import LeadFragility


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return each reason to doubt the result, the side, the exclusions, and how few votes would turn the result."""
    reasons = map(sentence, doubts(report.study, report.counts, report.manifest, results))
    mattered = side_mattered(results.bias.position, level=report.study.level)  # then it is among the reasons
    votes = ("" if mattered else sentence(_side(results.bias)), _exclusions(report, results))
    parts = (reasons, votes, _fragility(results.fragility, report.study))
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
    return f"left was chosen in {percent(share.value)} of the votes for a side ({p_value(test)})"


def _exclusions(report: AgreementReport, results: Results) -> str:
    excluded, with_them = report.counts.excluded_votes, results.agreement.with_excluded_votes
    if not excluded:
        return "No vote was excluded."
    were = f"{counted(excluded, 'vote')} {'was' if excluded == 1 else 'were'} excluded"
    if with_them is None or with_them.value is None:
        return f"{were}."
    them = "it" if excluded == 1 else "them"
    return f"{were}; with {them} the agreement would be {percent(with_them.value)}."


def _fragility(found: Fragility, study: StudyFacts) -> tuple[str, ...]:
    said = [] if found.lead is None else [_lead(found.lead, study)]
    if found.below_interval.votes is not None:
        said.append(
            f"Without {counted(found.below_interval.votes, 'vote')}, chosen for it, the strict agreement would leave "
            "its own interval."
        )
    if found.below_baseline.votes is not None:
        said.append(
            f"Without {counted(found.below_baseline.votes, 'vote')}, chosen for it, it would fall below "
            f"{'the best fixed order' if study.are_several else 'the constant choice'}."
        )
    shares = [row.agreement for row in found.without_each]
    if len(shares) > 1:
        said.append(f"With one annotator left out it lies between {percent(min(shares))} and {percent(max(shares))}.")
    return tuple(said)


def _lead(lead: LeadFragility, study: StudyFacts) -> str:
    if lead.leader is None:
        return "Neither model leads in comparisons won."
    name = {"A": study.model_a, "B": study.model_b}[lead.leader]
    leads = f"{lead.leader} ({name}) leads by {counted(lead.lead, 'comparison')} won"
    if lead.to_lose.votes is None:
        return f"{leads}, and no removal of votes ends the lead."
    return f"{leads}; to end the lead {counted(lead.to_lose.votes, 'vote')} would have to go."
