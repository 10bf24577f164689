"""What tests of the report's pages stand on: somebody who makes the reports."""

from collections.abc import Iterable

import pytest

from annotation.models import ReportJob
from annotation.reports import asking
from annotation.tasks import make_report


@pytest.fixture(autouse=True)
def report_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker at hand: reports are made the moment they are asked for. A test that wants none puts `enqueue` back."""

    def work_at_once(queued: Iterable[ReportJob]) -> None:
        for job in queued:
            make_report(job.pk)
            job.refresh_from_db()

    monkeypatch.setattr(asking, "enqueue", work_at_once)
