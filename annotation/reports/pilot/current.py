"""The result of a pilot as of now: from its report once it is closed, before that the pace alone."""

from annotation.models import ReportJob, Study
from annotation.reports.findings.results import AgreementReport
from annotation.reports.pilot.result import PilotResult, assumed_metric, pilot_result
from annotation.reports.report_jobs.report_cache import cached_report
from annotation.reports.report_jobs.report_jobs import finished_report, request_report
from annotation.studies.current import current_manifest
from annotation.studies.pilot.pace import pace_of
from annotation.studies.planning.design import design_of_study
from annotation.studies.sealing import is_sealed
from jobs.refusals import Refused


def requested_result(
    pilot: Study, *, agreement: float | None = None, baseline: float | None = None
) -> PilotResult | ReportJob:
    """Return the result, or the job of the report that it waits for. None: what `assumed_metric` assumes.

    Raises Refused for a study that is no pilot, and as `request_report` and `pilot_result` do.
    """
    _refuse_others(pilot)
    if is_sealed(pilot, manifest=current_manifest(pilot)):
        return _result(pilot, None, agreement, baseline)
    job = request_report(pilot)
    report = finished_report(job)
    return job if report is None else _result(pilot, report, agreement, baseline)


def result_at_once(pilot: Study, *, agreement: float | None = None, baseline: float | None = None) -> PilotResult:
    """Return the result; compute its report here if there is none yet."""
    _refuse_others(pilot)
    is_hidden = is_sealed(pilot, manifest=current_manifest(pilot))
    return _result(pilot, None if is_hidden else cached_report(pilot).report, agreement, baseline)


def _refuse_others(pilot: Study) -> None:
    if pilot.pilot_of is None:
        raise Refused(f"{pilot} is not a pilot.")


def _result(
    pilot: Study, report: AgreementReport | None, agreement: float | None, baseline: float | None
) -> PilotResult:
    usual = assumed_metric(report)
    return pilot_result(
        pilot,
        pace_of(pilot),
        report,
        design_of_study(pilot.pilot_of or pilot),
        agreement=usual[0] if agreement is None else agreement,
        baseline=usual[1] if baseline is None else baseline,
    )
