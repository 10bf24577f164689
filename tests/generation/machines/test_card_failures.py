"""A sick card is no black hole, and a poisonous job stops no fleet: injected errors of the device."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch
from django.db import IntegrityError, transaction

from generation.machines import card_failures, workers
from generation.machines.card_failures import FAILURES_UNTIL_REFUSED, NoRoom, device_faults, readmit, too_large
from generation.machines.cards import HostCard
from generation.machines.workers import leave_sign, may_take_on_this_card, reason_to_rest
from generation.models import Card, CardFailure, GenerationJob, WorkerSign
from jobs import claims, work
from jobs.leases import Lease
from jobs.refusals import Broken, Refused, SetBack
from tests.clock import Clock
from tests.generation.planned_sets import only_job, planned

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases, pytest.mark.usefixtures("database_clock")]
STICKY = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.77 GiB")
STATES = GenerationJob.State


class Fleet:
    """The cards of a host: the test says on which one this process computes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.card: HostCard | None = None
        self.ended = 0
        monkeypatch.setattr(workers, "own_card", lambda: self.card)
        monkeypatch.setattr(workers, "worker_name", lambda: f"gpu-{self.number}@{self.number}")
        monkeypatch.setattr(work, "end_process", self._end)

    @property
    def number(self) -> str:
        return self.card.number if self.card else "cpu"

    def _end(self) -> None:
        self.ended += 1

    def on(self, number: int, name: str = "NVIDIA L4") -> None:
        """Go on as the worker of this card, which shows itself."""
        self.card = HostCard(str(number), name, f"GPU-{number}")
        leave_sign(name=f"gpu-{number}@{number}", has_started=True)

    def work(self, error: Exception | None) -> None:
        """Take the next job of this card; it ends with the error."""

        def do(job: GenerationJob, lease: Lease) -> None:
            with device_faults(job, owner="sdxl"):
                if error is not None:
                    raise error

        work.work_next(may_take_on_this_card(GenerationJob), do)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(work, "SECONDS_BEFORE_PASSING_ON", 0)
    monkeypatch.setattr("generation.machines.devices.device_name", lambda: "NVIDIA L4")
    too_large.clear()
    too_large.holds_other_work = False
    yield Fleet(monkeypatch)
    too_large.clear()
    too_large.holds_other_work = False


def jobs(count: int) -> list[GenerationJob]:
    return [only_job(planned(prompt=f"prompt {number}")) for number in range(count)]


def fresh(job: GenerationJob) -> GenerationJob:
    return GenerationJob.objects.get(pk=job.pk)


def test_after_a_sticky_error_the_job_waits_and_goes_to_another_card(fleet: Fleet, database_clock: Clock) -> None:
    [job] = jobs(1)
    fleet.on(1)
    fleet.on(0)
    fleet.work(STICKY)
    assert fleet.ended == 1
    waiting = fresh(job)
    assert (waiting.state, waiting.failed_on) == (STATES.QUEUED, "GPU-0")
    assert waiting.error.startswith("Tried again: ")
    assert "(NVIDIA L4) failed: CUDA error: an illegal memory access" in waiting.error
    fleet.on(1)
    fleet.work(None)
    assert fresh(job).state == STATES.QUEUED  # the pause is not over
    database_clock.time += card_failures.PAUSE
    fleet.on(1)
    fleet.on(0)
    fleet.work(None)
    assert fresh(job).state == STATES.QUEUED  # not on that card
    fleet.on(1)
    fleet.work(None)
    assert fresh(job).state == STATES.DONE


def test_the_only_card_tries_its_job_again_after_the_pause(fleet: Fleet, database_clock: Clock) -> None:
    [job] = jobs(1)
    fleet.on(0)
    for _ in range(claims.MOST_ATTEMPTS):
        fleet.work(STICKY)
        database_clock.time += card_failures.PAUSE
        fleet.on(0)
    assert fresh(job).state == STATES.FAILED
    assert Card.objects.get().refused_at is None  # one job, however often: it may be the job's fault


def test_a_card_that_failed_on_two_jobs_takes_no_more_until_it_is_readmitted(fleet: Fleet) -> None:
    *_, third = jobs(3)
    fleet.on(0)
    for _ in range(FAILURES_UNTIL_REFUSED):
        fleet.work(STICKY)
    assert Card.objects.get().refused_at is not None
    fleet.work(None)
    assert fresh(third).state == STATES.QUEUED
    assert "failed on different jobs and takes no more" in reason_to_rest("gpu")
    assert reason_to_rest("control") == ""
    leave_sign(name="gpu-0@0")
    assert WorkerSign.objects.get().note == reason_to_rest("gpu")
    with pytest.raises(Refused, match=r"There is no card nowhere:1; known are .*:0\."):
        readmit("nowhere:1")
    readmit(str(Card.objects.get()))
    assert not CardFailure.objects.exists()
    fleet.work(None)
    assert fresh(third).state == STATES.DONE


def test_a_job_that_broke_two_cards_fails_and_counts_against_neither(fleet: Fleet, database_clock: Clock) -> None:
    poison, other = jobs(2)
    for number in (2, 1, 0):
        fleet.on(number)
    claims.set_back(taken(other), error="later", pause=timedelta(hours=1))
    fleet.work(STICKY)
    database_clock.time += card_failures.PAUSE
    fleet.on(1)
    fleet.work(STICKY)
    assert fresh(poison).state == STATES.FAILED
    assert fresh(poison).error.startswith("It broke the processes on two cards (")
    assert fleet.ended == 2
    assert not CardFailure.objects.exists()
    database_clock.pass_by(hours=1)
    fleet.on(1)
    fleet.work(STICKY)
    assert not Card.objects.filter(refused_at__isnull=False).exists()
    assert claims.retry(GenerationJob.objects.filter(pk=poison.pk)) == 1
    assert fresh(poison).failed_on == ""  # somebody mended it


def taken(job: GenerationJob) -> GenerationJob:
    claimed = claims.claim_next(GenerationJob.objects.filter(pk=job.pk), worker="there")
    assert claimed is not None
    return claimed


def test_weights_that_do_not_fit_are_told_once_and_loaded_once(fleet: Fleet) -> None:
    first, second = jobs(2)
    fleet.on(0)
    fleet.work(FULL)
    sentence = "sdxl: its weights do not fit into the memory of NVIDIA L4; use a card with more memory."
    assert (fresh(first).state, fresh(first).error, fresh(first).attempt_count) == (STATES.FAILED, sentence, 1)
    fleet.work(AssertionError("it is not loaded again"))
    assert (fresh(second).state, fresh(second).error) == (STATES.FAILED, sentence)


def test_a_process_with_other_work_in_memory_starts_again_before_it_gives_up(fleet: Fleet) -> None:
    _, second = jobs(2)
    fleet.on(0)
    fleet.work(None)
    fleet.work(FULL)
    assert (fresh(second).state, fresh(second).attempt_count, fleet.ended) == (STATES.QUEUED, 0, 1)


def test_a_model_too_large_for_this_card_is_left_to_another_kind(fleet: Fleet) -> None:
    [job] = jobs(1)
    fleet.on(1, name="NVIDIA H200")
    fleet.on(0)
    fleet.work(FULL)
    assert (fresh(job).state, fleet.ended) == (STATES.QUEUED, 0)


def test_an_image_too_large_for_this_card_is_left_to_another_kind(fleet: Fleet) -> None:
    small, large = jobs(2)
    fleet.on(0)
    fleet.work(NoRoom("not even one image fits"))
    assert (fresh(small).state, fresh(small).error) == (STATES.FAILED, "not even one image fits")
    fleet.on(1, name="NVIDIA H200")
    fleet.on(0)
    fleet.work(NoRoom("not even one image fits"))
    job = fresh(large)
    assert (job.state, job.attempt_count, job.error) == (STATES.QUEUED, 0, "not even one image fits")
    assert "sdxl" in too_large  # so that this process leaves the model's jobs to the other card


@pytest.mark.parametrize("error", [OSError("disk full"), Refused("no such folder")])
def test_other_errors_pass_unchanged(fleet: Fleet, error: Exception) -> None:
    [job] = jobs(1)
    with pytest.raises(type(error)), device_faults(job, owner="sdxl"):
        raise error


def test_a_refusal_that_a_sick_card_led_to_is_the_card_s_fault(fleet: Fleet) -> None:
    [job] = jobs(1)
    fleet.on(0)
    with pytest.raises(SetBack), device_faults(taken(job), owner="sdxl"):
        raise Refused("the checkpoint cannot be loaded") from STICKY
    fleet.on(1)
    with pytest.raises(Broken), device_faults(fresh(job), owner="sdxl"):
        raise STICKY


def test_the_database_holds_one_failure_of_a_card_and_job_and_its_reason(fleet: Fleet) -> None:
    fleet.on(0)
    card = Card.objects.get()
    row = {"card": card, "task_name": "x", "job_id": 1}
    CardFailure.objects.create(**row, error="broken")
    for broken in ({**row, "error": "again"}, {**row, "job_id": 2, "error": ""}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CardFailure.objects.create(**broken)
