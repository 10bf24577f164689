"""The evidence of a study that stops when its claim is decided. Pure."""

from annotation.reports.findings.study.sequential import Sequential
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Row, Section, share_row
from annotation.reports.printing.evidence import change, sides, verdict
from annotation.reports.printing.numbers import percent, significant
from annotation.reports.printing.sentences import sentence
from jobs.wording import counted
from scoring.statistics.studies.sequential import Evidence


def section(found: Sequential, facts: Facts) -> Section:
    """The decision, the evidence for either side, and the agreement with its confidence sequence."""
    better, worse = sides(found, facts.study, metric="the metric")
    rows = (
        Row("Verdict", found.decision.verdict, n=found.comparisons, remark=verdict(found, facts.study)),
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
    others = "The other intervals and tests of this report are for a planned number of votes; here they only describe."
    changed = (sentence(change(found, facts.study)),) if found.is_changed else ()
    return Section("sequential", "Evidence as the votes came in", (*changed, text, others), rows, is_part=True)


def _evidence_row(label: str, evidence: Evidence, found: Sequential) -> Row:
    remark = f"at most {significant(evidence.greatest)} on the way" if evidence.greatest > evidence.e_value else ""
    return Row(label, significant(evidence.e_value), n=found.clusters, method="e-value by betting", remark=remark)
