"""Whether the design was fixed before anybody voted, in words. Pure."""

from datetime import datetime

from annotation.reports.agreement_report import AgreementReport

IMPORTED = "imported"


def preregistration(report: AgreementReport) -> str:
    """The design's hash and date beside the date of the first vote, and what was amended when.

    Imported votes were cast elsewhere: of them nothing is claimed.
    """
    design, *amendments = report.manifest_versions
    return " ".join((_order(report, design.created_at, design.sha256), _amended(report, len(amendments))))


def _order(report: AgreementReport, fixed_at: datetime, sha256: str) -> str:
    design, first = f"The design (SHA-256 {sha256}) was fixed {_time(fixed_at)}", report.study.first_vote_at
    if first is None:
        return f"{design}; there is no vote yet."
    if any(row.kind == IMPORTED and row.votes + row.excluded_votes for row in report.quality.annotators):
        return f"{design}; votes were imported, first {_time(first)}: when they were cast cannot be told here."
    order = "before" if fixed_at < first else "after"
    return f"{design}, {order} the first vote was received {_time(first)}."


def _amended(report: AgreementReport, amendments: int) -> str:
    if not amendments:
        return "It was not amended."
    first = report.study.first_vote_at
    late = sum(row.created_at > first for row in report.manifest_versions[1:]) if first else 0
    return f"Amended {amendments} {'time' if amendments == 1 else 'times'}, {late} of them after the first vote."


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
