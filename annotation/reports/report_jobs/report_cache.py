"""The reports that were computed, each in a file named after the SHA-256 of everything that went into it.

The task, the command and the demonstration get their reports here, so the same study gives the same report to all of
them and is computed once.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import Aggregate, Count, Max, QuerySet, Subquery, Sum, Value
from django.utils import timezone

import scoring.statistics
from annotation import reports
from annotation.models import Assignment, ReportFileJob, ReportJob, Study
from annotation.reports.data.gathering import gather
from annotation.reports.data.metrics import Scored, scored_by
from annotation.reports.data.pairs import of_pair
from annotation.reports.data.study_data import SealedData
from annotation.reports.figures.draw import draw
from annotation.reports.figures.svg import as_file
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import from_json, to_json
from annotation.reports.printing.blocks import FigureName
from annotation.reports.progress import GATHERING, Progress, silent
from annotation.reports.report import build_report
from annotation.reports.report_jobs.watched_jobs import retry
from annotation.studies.current import current_manifest
from annotation.studies.documents import sha256 as manifest_sha256
from annotation.studies.manifest import Manifest
from jobs.messages import enqueue
from jobs.whole_files import whole_file

OF_STUDY = ("votes", "bundle")  # downloads that are made from the study as it is now, not from the report alone
MIN_INTERVAL = timedelta(minutes=1)  # between two reports; otherwise each view would start one while votes come in
_MAX_REPORTS = 8  # in the memory of one process; the report of a million votes takes about 20 MB
Write = Callable[[Study, AgreementReport, Path, Progress], object]


@dataclass(frozen=True, slots=True)
class CachedReport:
    """A report and the SHA-256 of what went into it."""

    sha256: str
    report: AgreementReport


def cached_report(study: Study, *, metric: str = "", pair: str = "", progress: Progress = silent) -> CachedReport:
    """Return the study's report as of now: from the cache if the same data gave one before, else computed and stored.

    metric: as for `gather`, which also says what is refused. pair: as `pair_of` returns it. While the study is sealed,
    the report holds no result.
    """
    progress(0.0, GATHERING)
    data = of_pair(gather(study, manifest=current_manifest(study), metric=metric), pair)
    digest = fingerprint(data)
    report = load_report(digest)
    if report is None:
        report = build_report(data, progress=progress)
        with whole_file(_path(digest)) as path:
            path.write_text(to_json(report), encoding="utf-8")
    return CachedReport(digest, report)


def load_report(sha256: str) -> AgreementReport | None:
    """Return the stored report with this hash; None if there is none, or if another version gave it another shape."""
    if not sha256 or not _path(sha256).exists():
        return None
    try:
        return _read(sha256)
    except ValueError:
        return None


def finished_report(job: ReportJob) -> AgreementReport | None:
    """Return the job's latest finished report, also while the next one is computed, or None.

    A report from another state of the study is not returned, because the report of an open study differs from that of
    the closed study.
    """
    report = load_report(job.sha256)
    return report if report is not None and report.study.state == job.study.state else None


def stored_reports() -> set[str]:
    """Return the hash of every stored report."""
    return {path.stem for path in Path(settings.REPORTS_ROOT).glob("*.json")}


def delete_report(sha256: str) -> None:
    """Delete a stored report and its figures."""
    _path(sha256).unlink(missing_ok=True)
    for path in files_folder().glob(f"{sha256}.*.svg"):
        path.unlink(missing_ok=True)


# --- files made of a report ---------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Download:
    """A file made from a study's report: its label, its suffix, its content type, and the function that writes it.

    has_results: it holds nothing but results, so it does not exist while the study is sealed. is_long: writing it may
    take longer than a request should, so a job does it.
    """

    label: str
    suffix: str
    content_type: str
    write: Write
    has_results: bool = False
    is_long: bool = False

    def name(self, slug: str) -> str:
        """Return the name of the file of the study with this slug."""
        return f"{slug}-{self.suffix}" if "." in self.suffix else f"{slug}-report.{self.suffix}"


def stored_path(key: str, name: str) -> Path:
    """Return where the file of this key and name is stored; `downloads` deletes it after an hour."""
    return files_folder() / f"{key}.{name}"


def files_folder() -> Path:
    """Return the folder of these files."""
    return Path(settings.REPORTS_ROOT) / "files"


def request_file(report_job: ReportJob, name: str) -> ReportFileJob:
    """Return the job of a download of a finished report; enqueue it if there is no file yet or only an outdated one.

    A failed file is tried again by `retry` only.
    """
    job, is_new = ReportFileJob.objects.get_or_create(report_job=report_job, name=name)
    if is_new:
        enqueue([job])
    elif job.state != ReportFileJob.State.FAILED and current_file(job) is None:
        retry(job)
    return job


def current_file(job: ReportFileJob) -> Path | None:
    """Return the stored file if its report and study are unchanged or it is less than MIN_INTERVAL old, else None.

    Without that interval, while votes come in, a bundle would be outdated before it is downloaded. A withdrawal since
    the job began ends it.
    """
    path = stored_path(job.key, job.name)
    if job.state != ReportFileJob.State.DONE or not path.exists():
        return None
    is_recent = job.finished_at is not None and job.finished_at > timezone.now() - MIN_INTERVAL
    return path if (is_recent and not _withdrawn_since(job)) or job.key == file_key(job) else None


def _withdrawn_since(job: ReportFileJob) -> bool:
    return job.report_job.study.annotators.filter(withdrawn_at__gte=job.started_at).exists()


def file_key(job: ReportFileJob) -> str:
    """Return the key under which the file of a job is stored: of its report, or of its report and the study."""
    report_job = job.report_job
    if job.name not in OF_STUDY:
        return report_job.sha256
    study = report_job.study
    stamp = study_stamp(study, metric=report_job.metric, scored=scored_by(study))
    return hashlib.sha256(f"{report_job.sha256}{stamp}".encode()).hexdigest()


def stored_figure(sha256: str, report: AgreementReport, name: FigureName, *, is_dark: bool) -> bytes:
    """Return a figure of the report with this hash as an SVG file, which is drawn if it is not stored.

    Raises ValueError for a sealed report.
    """
    light, dark = (stored_path(sha256, f"{name}{end}.svg") for end in ("", "-dark"))
    wanted = dark if is_dark else light
    if not wanted.exists():
        svg = draw(report, name)
        for path in (light, dark):
            with whole_file(path) as part:
                part.write_text(as_file(svg, is_dark=path is dark), encoding="utf-8")
    return wanted.read_bytes()


# --- fingerprints -------------------------------------------------------------------------------


def fingerprint(data: SealedData) -> str:
    """Return the SHA-256 of everything that goes into a report: the data, and the code that computes it."""
    digest = hashlib.sha256(code_sha256().encode())
    _feed(digest.update, data)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def code_sha256() -> str:
    """Return the SHA-256 of the code of the statistics and of the reports, so that new code gives new reports."""
    digest = hashlib.sha256()
    for package in (scoring.statistics, reports):
        for module in sorted(Path(package.__path__[0]).rglob("*.py")):
            digest.update(module.read_bytes())
    return digest.hexdigest()


def study_stamp(study: Study, *, metric: str, scored: Mapping[str, Scored]) -> str:
    """Return the SHA-256 of counters that change if the data of a report change.

    It reads no vote, whereas `fingerprint` reads all of them. It misses some changes (a vote that was undone and given
    again, for example); the report then stays as it was until something else changes. So the stamp only hints that a
    new report is due, and never names one.
    """
    people = study.annotators.order_by().values_list("state", "broken_rules")
    seen = [
        code_sha256(),
        study.state,
        study.manifest_sha256,
        _counters(study),
        sorted(people.annotate(Count("pk"), Sum("withdrawn_vote_count"))),
        [(name, one.count, one.latest) for name, one in scored.items()],
        metric,
    ]
    return hashlib.sha256(json.dumps(seen, default=str).encode()).hexdigest()


def _counters(study: Study) -> dict[str, int | None]:
    """Return the sums of the comparisons' counters and the numbers of other rows, with one query."""
    counters = ("vote_count", "slot_count", "votes_a", "votes_b", "votes_tie")
    late = Assignment.objects.filter(annotator__study=study, state=Assignment.State.LATE)
    return Study.objects.filter(pk=study.pk).aggregate(
        *(Sum(f"comparisons__{name}") for name in counters),
        version_count=_number(study.manifest_versions.all(), Count("pk")),
        late_count=_number(late, Count("pk")),
        event_count=_number(study.events.all(), Count("pk")),
        newest_event=_number(study.events.all(), Max("pk")),
    )


def _number(rows: QuerySet[Any], number: Aggregate) -> Max:
    """Return a number of rows inside another query, whose rows all see the same one: the greatest of them."""
    return Max(Subquery(rows.order_by().values(one=Value(1)).annotate(number=number).values("number")))


def _path(sha256: str) -> Path:
    return Path(settings.REPORTS_ROOT) / f"{sha256}.json"


@lru_cache(maxsize=_MAX_REPORTS)
def _read(sha256: str) -> AgreementReport:
    return from_json(_path(sha256).read_text(encoding="utf-8"))


def _feed(update: Callable[[bytes], None], value: Any) -> None:
    """Feed each value with its type and its length, so that no two different data feed the same bytes."""
    match value:
        case np.ndarray():
            update(f"{value.dtype.str}{value.shape}".encode())
            update(np.ascontiguousarray(value).tobytes())
        case Manifest():
            update(manifest_sha256(value).encode())
        case dict():
            _feed(update, tuple(value.items()))
        case tuple() | list():
            update(f"({len(value)}".encode())
            for item in value:
                _feed(update, item)
        case _ if is_dataclass(value):
            _feed(update, tuple(getattr(value, field.name) for field in fields(value)))
        case _:
            text = repr(value).encode()
            update(f"{type(value).__name__}{len(text)}:".encode() + text)
