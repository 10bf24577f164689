"""What tests of the report's pages stand on: somebody who makes the reports and their files."""

from collections.abc import Callable, Iterable

import pytest

from annotation.models.report_job import WatchedJob
from annotation.reports.report_jobs import file_jobs, report_jobs
from annotation.tasks import make_report, make_report_file


@pytest.fixture(autouse=True)
def report_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker at hand: what is asked for is made at once. A test that wants none puts `enqueue` back."""

    def at_once(make: Callable[[int], None]) -> Callable[[Iterable[WatchedJob]], None]:
        def work(queued: Iterable[WatchedJob]) -> None:
            for job in queued:
                make(job.pk)
                job.refresh_from_db()

        return work

    monkeypatch.setattr(report_jobs, "enqueue", at_once(make_report))
    monkeypatch.setattr(file_jobs, "enqueue", at_once(make_report_file))
