"""Leases: the thread that extends one, and the exceptions that reach the work."""

import threading

import pytest
from django.db import DatabaseError, transaction
from pytest_django.fixtures import Settings

from generation.models import GenerationJob
from jobs import claims, work
from jobs.leases import Cancelled, Lease, LeaseLost, hold
from jobs.models import LeasedJob
from tests.generation.planned_sets import only_job, planned

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def running(settings: Settings) -> GenerationJob:
    settings.JOB_HEARTBEAT_SECONDS = 0.01
    only_job(planned())
    job = claims.claim_next(GenerationJob.objects.all(), worker="here")
    assert job is not None
    return job


class Beats:
    """Heartbeats that can be waited for."""

    def __init__(self, fail_first: bool = False) -> None:
        self._beaten = threading.Semaphore(0)
        self._is_failing = fail_first

    def __call__(self, job: LeasedJob) -> bool:
        if self._is_failing:
            self._is_failing = False
            raise DatabaseError("the server went away")
        is_mine = claims.heartbeat(job)
        self._beaten.release()
        return is_mine

    def wait(self) -> None:
        # When the second heartbeat is over, the block has seen the outcome of the first.
        assert self._beaten.acquire(timeout=600)
        assert self._beaten.acquire(timeout=600)


@pytest.mark.parametrize("fail_first", [False, True])
def test_a_lease_is_extended_as_long_as_the_block_runs(running: GenerationJob, fail_first: bool) -> None:
    beats = Beats(fail_first)
    before = running.lease_expires_at
    with Lease(running, beat=beats) as lease:
        beats.wait()
        lease.check()
    after = GenerationJob.objects.get(pk=running.pk).lease_expires_at
    assert before is not None
    assert after is not None
    assert after > before
    assert not any(thread.name == f"lease-{running.pk}" for thread in threading.enumerate())


def test_the_work_hears_that_its_lease_is_lost(running: GenerationJob) -> None:
    GenerationJob.objects.update(claimed_by="somebody else")
    with Lease(running, beat=claims.heartbeat) as lease:
        lease._thread.join(600)  # it ends by itself: there is nothing left to keep
        with pytest.raises(LeaseLost):
            lease.check()


def test_the_work_hears_that_it_should_stop(running: GenerationJob) -> None:
    beats = Beats()
    claims.cancel(GenerationJob.objects.all())
    with Lease(running, beat=beats) as lease:
        beats.wait()
        with pytest.raises(Cancelled):
            lease.check()


def test_holding_wants_a_transaction_and_the_claim(running: GenerationJob) -> None:
    with pytest.raises(RuntimeError, match="outside a transaction"):
        hold(running)
    with transaction.atomic():
        hold(running)
    GenerationJob.objects.update(claimed_by="somebody else")
    with pytest.raises(LeaseLost), transaction.atomic():
        hold(running)


def test_work_that_makes_no_step_is_given_back(running: GenerationJob, settings: Settings) -> None:
    settings.JOB_STUCK_SECONDS = 0.05
    told = threading.Event()
    before = running.lease_expires_at
    with Lease(running, beat=lambda job: True, on_stuck=told.set) as lease:
        assert told.wait(600)
        lease._thread.join(600)
        with pytest.raises(LeaseLost):
            lease.check()
    assert GenerationJob.objects.get(pk=running.pk).lease_expires_at == before


def test_a_job_says_what_hung_before_its_process_ends(
    running: GenerationJob, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.JOB_STUCK_SECONDS = 0.05
    ended = threading.Event()
    monkeypatch.setattr(work, "end_process", ended.set)

    def hang(_job: GenerationJob, lease: Lease) -> None:
        assert ended.wait(600)
        lease.check()

    work.run(running, hang)
    job = GenerationJob.objects.get(pk=running.pk)
    said = f"generation_job {running.pk} made no step for 0.05 s, so its process was ended as hung."
    assert (job.state, job.error) == ("queued", f"{claims.TRIED}{said}")
