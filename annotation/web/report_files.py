"""Files of a report as answers, for its page and for the API."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest
from django.shortcuts import get_object_or_404

from annotation.models import Study
from annotation.reports.findings.results import AgreementReport
from annotation.reports.progress import silent
from annotation.reports.report_jobs.report_cache import Download
from annotation.studies.audit import record


def written(chosen: Download, slug: str, report: AgreementReport) -> IO[bytes]:
    """Write the file and return it open. Its folder is deleted at once; the bytes stay until the file is closed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report"
        chosen.write(get_object_or_404(Study, slug=slug), report, path, silent)
        return path.open("rb")


def report_file(request: HttpRequest, chosen: Download, slug: str, file: IO[bytes]) -> FileResponse:
    """Return the open file as a download with the study's slug in its name, and note it in the audit."""
    study = get_object_or_404(Study, slug=slug)
    record("report downloaded", study=study, actor=cast(User, request.user), file=chosen.label)
    return FileResponse(file, as_attachment=True, filename=chosen.name(slug), content_type=chosen.content_type)
