"""A worker for tests of the report's pages."""

from collections.abc import Iterable

import pytest

from annotation import tasks
from annotation.models.report_job import WatchedJob
from annotation.reports.report_jobs import images_file, report_cache, report_jobs, watched_jobs


@pytest.fixture(autouse=True)
def report_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each job of a report or a download as soon as it is enqueued. A test without a worker restores `enqueue`."""

    def run(jobs: Iterable[WatchedJob]) -> None:
        for job in jobs:
            getattr(tasks, job.task_name.rpartition(".")[2])(job.pk)
            job.refresh_from_db()

    for module in (report_jobs, watched_jobs, report_cache, images_file):
        monkeypatch.setattr(module, "enqueue", run)
