"""Whether the metric agrees with people as often as one more person, but for the manifest's margin. Pure."""

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.people.non_inferiority import NonInferiority, non_inferiority


def compute(analysed: Analysed) -> NonInferiority | None:
    """Return the comparison, from the same votes as `single_votes`; None if the manifest fixed no margin."""
    first, plan = analysed.first, analysed.data.manifest.analysis
    if plan.person_margin is None:
        return None
    return non_inferiority(
        first.votes, first.metric, margin=plan.person_margin, clusters=first.clusters, level=plan.level
    )
