"""A new annotator on a new prompt: how often one vote agrees with the metric, and how often with another vote. Pure."""

from annotation.reports.findings.analysed import Analysed
from scoring.statistics.people.single_votes import SingleVotes, single_votes


def compute(analysed: Analysed) -> SingleVotes:
    """Return the agreement of single votes; if the study stops early, of the first votes of each comparison only."""
    first = analysed.first
    return single_votes(first.votes, first.metric, clusters=first.clusters, level=first.resampling.level)
