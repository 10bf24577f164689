"""The jobs that compute reports: one row for each study, metric and pair of models; and the results of pilots.

A page requests its report each time it is viewed. A request changes nothing while the job waits or runs, nor while the
study is unchanged. The result of a pilot comes from its report once it is closed, and before that from its pace alone.
"""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Sum
from django.utils import timezone

from annotation.models import Annotator, ReportFileJob, ReportJob, Study
from annotation.reports.data.metrics import choose_metric, scored_by
from annotation.reports.findings.results import AgreementReport
from annotation.reports.pilot.result import (
    Assumed,
    PilotResult,
    Plans,
    assumed_metric,
    assumed_of,
    compute_plans,
    pilot_result,
)
from annotation.reports.pilot.stored_plans import asked_of, plans_name, read_plans
from annotation.reports.report_jobs.report_cache import (
    MIN_INTERVAL,
    cached_report,
    current_file,
    delete_report,
    finished_report,
    load_report,
    request_file,
    study_stamp,
)
from annotation.reports.report_jobs.watched_jobs import claimed_row, job_progress, retry
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.deletion import delete_study
from annotation.studies.pilot.pace import pace_of
from annotation.studies.sealing import is_sealed
from annotation.voting.imports.import_runs import ImportsChanged, refuse_unfinished_import
from annotation.voting.withdrawal import refuse_unfinished_withdrawal
from jobs.leases import Lease
from jobs.messages import enqueue
from jobs.refusals import Refused, SetBack


# --- requests -----------------------------------------------------------------------------------
def request_report(study: Study, *, metric: str = "", pair: str = "") -> ReportJob:
    """Return the job of the study's report; enqueue it if it is new or the study has changed since.

    metric: as for `gather`, which also says what is refused. pair: as `pair_of` returns it. A failed report is tried
    again by `retry` only.
    """
    refuse_unfinished_import(study)
    refuse_unfinished_withdrawal(study)
    _refuse_unscored(study)
    scored = scored_by(study)
    chosen = choose_metric(tuple(scored), manifest=current_manifest(study), wanted=metric)
    stamp = study_stamp(study, metric=chosen, scored=scored)
    job, is_new = ReportJob.objects.get_or_create(study=study, metric=chosen, pair=pair, defaults={"stamp": stamp})
    job.study = study  # else reading its state takes a query
    if is_new:
        enqueue([job])
    elif not job.is_waiting and _is_due(job, study, stamp):
        retry(job, stamp=stamp)
    return job


def _refuse_unscored(study: Study) -> None:
    """Refuse a study whose sets are not all scored: its job would fail. An external study needs no scores."""
    if study.state in Study.BEFORE_READY and study.source != Study.Source.EXTERNAL:
        raise Refused("There is no report yet, because not every set of images is scored.")


def _is_due(job: ReportJob, study: Study, stamp: str) -> bool:
    if job.state == ReportJob.State.FAILED:
        return job.stamp != stamp
    report = load_report(job.sha256)
    if report is None or report.study.state != study.state:
        return True
    return job.stamp != stamp and (job.finished_at is None or job.finished_at < timezone.now() - MIN_INTERVAL)


# --- work ---------------------------------------------------------------------------------------
def run_report_job(job: ReportJob, lease: Lease) -> None:
    """Compute the report of a claimed job. A second run finds the report in the cache."""
    before = job.sha256
    stamp = study_stamp(job.study, metric=job.metric, scored=scored_by(job.study))
    withdrawn = _withdrawn_count(job.study)
    try:
        cached = cached_report(job.study, metric=job.metric, pair=job.pair, progress=job_progress(job, lease))
    except ImportsChanged as change:
        raise SetBack(str(change), pause=timedelta(0), is_counted=False) from None
    if _withdrawn_count(job.study) != withdrawn:
        delete_report(cached.sha256)
        raise SetBack("An annotator withdrew meanwhile, so it is made again.", pause=timedelta(0), is_counted=False)
    result, votes = _result(job, cached.report)
    claimed_row(job).update(sha256=cached.sha256, stamp=stamp, percent=100, step="", result=result, result_votes=votes)
    if before not in ("", cached.sha256) and not ReportJob.objects.filter(sha256=before).exists():
        delete_report(before)


def _result(job: ReportJob, report: AgreementReport) -> tuple[str, int]:
    """Return what the report found, in one sentence, and the number of votes that it rests on.

    Empty and 0 unless the study is closed and the report is by its own metric, or by the only one.
    """
    study = job.study
    is_of_study = job.metric == current_manifest(study).encoder.metric or len(scored_by(study)) < 2
    if report.study.state != Study.State.CLOSED or job.pair or not is_of_study or not report.results:
        return "", 0
    return report.verdict[0].sentence if report.verdict else "", study.comparisons.aggregate(votes=Sum("vote_count"))[
        "votes"
    ] or 0


def _withdrawn_count(study: Study) -> int:
    return study.annotators.filter(state=Annotator.State.WITHDRAWN).count()


# --- deletion -----------------------------------------------------------------------------------
def delete_with_reports(*, study: Study, actor: User | None = None) -> None:
    """Delete a study as `delete_study` does, and its stored reports; `delete_old_files` deletes its downloads."""
    stored = list(study.report_jobs.exclude(sha256="").values_list("sha256", flat=True))
    delete_study(study=study, actor=actor)
    for sha256 in stored:
        delete_report(sha256)


# --- results of pilots --------------------------------------------------------------------------
def requested_result(
    pilot: Study, *, agreement: float | None = None, baseline: float | None = None
) -> PilotResult | ReportJob | ReportFileJob:
    """Return the result, or the job that it waits for: of the report, or of the plans, which simulate studies.

    None: what `assumed_metric` assumes. Raises Refused for a study that is no pilot, for assumptions that no plan can
    have, and as `request_report` does.
    """
    _refuse_others(pilot)
    if is_sealed(pilot, manifest=current_manifest(pilot)):
        return _computed(pilot, None, _assumed(None, agreement, baseline))
    job = request_report(pilot)
    report = finished_report(job)
    if report is None:
        return job
    pace, assumed = pace_of(pilot), _assumed(report, agreement, baseline)
    found = asked_of(pilot, pace, report, assumed)
    if isinstance(found, Plans):
        return pilot_result(pilot, pace, report, found, assumed)
    file_job = request_file(job, plans_name(assumed))
    path = current_file(file_job)
    plans = read_plans(path, found) if path else None
    if plans is None:
        if path:  # of the main study before an amendment
            retry(file_job)
        return file_job
    return pilot_result(pilot, pace, report, plans, assumed)


def result_at_once(pilot: Study, *, agreement: float | None = None, baseline: float | None = None) -> PilotResult:
    """Return the result; compute its report and its plans here."""
    _refuse_others(pilot)
    is_hidden = is_sealed(pilot, manifest=current_manifest(pilot))
    report = None if is_hidden else cached_report(pilot).report
    return _computed(pilot, report, _assumed(report, agreement, baseline))


def _refuse_others(pilot: Study) -> None:
    if pilot.pilot_of is None:
        raise Refused(f"{pilot} is not a pilot.")


def _assumed(report: AgreementReport | None, agreement: float | None, baseline: float | None) -> Assumed:
    usual = assumed_metric(report)
    return assumed_of(
        agreement=usual.agreement if agreement is None else agreement,
        baseline=usual.baseline if baseline is None else baseline,
    )


def _computed(pilot: Study, report: AgreementReport | None, assumed: Assumed) -> PilotResult:
    pace = pace_of(pilot)
    return pilot_result(pilot, pace, report, compute_plans(asked_of(pilot, pace, report, assumed)), assumed)
