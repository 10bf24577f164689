"""The evidence of a study that stops when its claim is decided. Pure."""

from annotation.reports.findings.sequential import Sequential
from annotation.reports.findings.study_facts import Facts
from annotation.reports.printing.blocks import Row, Section, share_row
from annotation.reports.printing.numbers import metric_name, percent, significant
from jobs.wording import counted
from scoring.statistics.sequential import Evidence


def section(found: Sequential, facts: Facts) -> Section:
    """The decision, the evidence for either side, and the agreement with its confidence sequence."""
    better, worse = _sides(found, facts)
    rows = (
        Row("Verdict", found.decision.verdict, n=found.comparisons, remark=verdict(found, facts)),
        _evidence_row(f"Evidence that {better}", found.decision.better, found),
        _evidence_row(f"Evidence that {worse}", found.decision.worse, found),
        share_row("Agreement of the metric, at every time", found.agreement),
        Row("Votes saved", str(found.saved_votes), remark="planned, and not needed when the claim was decided"),
    )
    text = (
        f"{counted(found.clusters, 'cluster')} of {found.planned_clusters} entered, in the order drawn from the seed "
        f"of the analysis before the first vote, each with every cluster before it. A claim is shown once its e-value "
        f"reaches {significant(found.threshold)}; if it is false, that ever happens in at most "
        f"{percent(1 / found.threshold)} of studies, however often they are looked at (Waudby-Smith and Ramdas, 2024)."
    )
    return Section("sequential", "Evidence as the votes came in", (text,), rows, is_part=True)


def verdict(found: Sequential, facts: Facts) -> str:
    """The decision in words."""
    better, worse = _sides(found, facts)
    after = counted(found.decision.decided_after or 0, "cluster")
    match found.decision.verdict:
        case "shown":
            return f"{better}, shown after {after}"
        case "shown worse":
            return f"{worse}, shown after {after}"
        case _:
            return f"neither that {better} nor that {worse} is shown"


def _sides(found: Sequential, facts: Facts) -> tuple[str, str]:
    """What the evidence is for, either way."""
    study = facts.study
    if found.claim == "models":
        return (
            f"people prefer {study.model_a} to {study.model_b}",
            f"people prefer {study.model_b} to {study.model_a}",
        )
    metric, always = metric_name(study.metric), " and ".join(f"always naming {name}" for name in found.rivals)
    some = "" if len(found.rivals) == 1 else "one of "
    return f"{metric} agrees more often than {always}", f"{metric} agrees less often than {some}{always}"


def _evidence_row(label: str, evidence: Evidence, found: Sequential) -> Row:
    remark = f"at most {significant(evidence.greatest)} on the way" if evidence.greatest > evidence.e_value else ""
    return Row(label, significant(evidence.e_value), n=found.clusters, method="e-value by betting", remark=remark)
