"""Sentences about the evidence of a study that stops when its claim is decided. Pure."""

from annotation.reports.findings.study.sequential import Sequential
from annotation.reports.findings.study.study_facts import StudyFacts
from annotation.reports.printing.sentences import short_metric
from jobs.wording import counted, listed


def sides(found: Sequential, study: StudyFacts, *, metric: str = "") -> tuple[str, str]:
    """Return the claim and its contrary. metric: what to call the metric, else by its name."""
    if found.claim == "models":
        a, b = study.model_a, study.model_b
        return f"annotators prefer {a} to {b}", f"annotators prefer {b} to {a}"
    metric, always = metric or short_metric(study.metric), listed([f"always naming {name}" for name in found.rivals])
    some = "" if len(found.rivals) == 1 else "one of "
    return f"{metric} agrees more often than {always}", f"{metric} agrees less often than {some}{always}"


def verdict(found: Sequential, study: StudyFacts) -> str:
    """Return the decision as a clause."""
    better, worse = sides(found, study)
    after = counted(found.decision.decided_after or 0, "cluster")
    match found.decision.verdict:
        case "shown":
            return f"{better}, shown after {after}"
        case "shown worse":
            return f"{worse}, shown after {after}"
        case _:
            return f"neither that {better} nor that {worse} is shown"


def change(found: Sequential, study: StudyFacts) -> str:
    """Return a clause if what counts now does not decide as what ended the voting; else empty."""
    if not found.is_changed:
        return ""
    better, worse = sides(found, study)
    then = {"shown": f"it was shown that {better}", "shown worse": f"it was shown that {worse}"}
    return (
        f"the voting ended after {counted(found.ended_after, 'cluster')} because "
        f"{then.get(found.ended_with, 'the claim was decided')}; the votes and scores that count now do not show it"
    )
