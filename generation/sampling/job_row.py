"""Make the images of one job after another, so that a card waits neither for files nor for the database.

A thread of its own calls the pipelines: it launches the work of a card, and waits for it most of the time. The main
thread records meanwhile what was made, settles its job, and claims and prepares the next one, which the other thread
begins as soon as it is free. Only the main thread uses the database.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from functools import cache, partial
from queue import Empty, SimpleQueue
from threading import Semaphore
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection
from structlog.contextvars import bound_contextvars

from generation.machines.card_failures import device_faults_of_a_part, refuse_too_large, too_large
from generation.machines.claiming import jobs_to_make, note_loaded, preferences
from generation.machines.workers import note_work
from generation.models import GenerationJob
from generation.plans.orders import Order, unfinished_orders
from generation.recorded_images.lost_images import prepared_seeds
from generation.sampling.recording import Recorder, sinks_for
from jobs.claims import are_others_due
from jobs.leases import Cancelled
from jobs.wording import counted
from jobs.work import RunningJob, claim

if TYPE_CHECKING:
    from generation.sampling.sampling import Sampled

logger = logging.getLogger(__name__)

# Nothing is sampled while the last images of a row are recorded, so a row ends only if jobs of other kinds wait; and
# after ten minutes, since a message should not be held for hours.
SECONDS_BESIDE_OTHERS = 60.0
MOST_SECONDS = 600.0
MOST_SAMPLED = 2  # jobs whose images are in memory, beside the one that is sampled
SECONDS_BETWEEN_CHECKS = 5.0
Call = Callable[[], None]


def make_next_images() -> bool:
    """Make the images of the next job that this worker may do; on a card, of further ones. Return if there was one."""
    return _Row().run()


def overlaps() -> bool:
    """Return whether the next job is sampled while one is recorded: on a CPU they would compete for the cores."""
    from generation.machines.devices import device  # loads torch, which only a worker that has a job does

    return device() != "cpu"


@cache
def _sampling_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="sampling")


class _Row:
    """Jobs that this process makes one after another. Other threads post what the main thread is to do."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Call] = SimpleQueue()
        self._jobs: list[_Making] = []  # that are not over
        self._began = time.monotonic()
        self._may_look = True  # for a further job: not again before something has changed

    def run(self) -> bool:
        """Make the images of jobs until the row ends; return whether there was one."""
        if (job := _claimed()) is None:
            return False
        try:
            self._begin(job)
            while self._jobs:
                self._claim_ahead()
                self._do_next()
        finally:
            self._stop()
        return True

    def post(self, call: Call) -> None:
        """Queue a call for the main thread."""
        self._events.put(call)

    def ask(self, question: Callable[[], Any], check: Call) -> Any:
        """Return the answer of the main thread, which has the database."""
        answer: Future[Any] = Future()
        self.post(partial(_answer, answer, question))
        while True:
            with suppress(TimeoutError):
                return answer.result(timeout=1)
            check()

    def give_back(self) -> None:
        """Queue the jobs again that are not over, because this process ends."""
        for making in self._jobs:
            making.running.give_back()

    def _begin(self, job: GenerationJob) -> None:
        making = _Making(job, self)
        if not making.is_over:
            self._jobs.append(making)
            note_loaded(making.order.diffusion_model)
            making.begin(_sampling_thread())
        self._may_look = True

    def _do_next(self) -> None:
        try:
            self._events.get(timeout=SECONDS_BETWEEN_CHECKS)()
        except Empty:
            for making in self._jobs:
                making.keep()
        if any(making.is_left for making in self._jobs):
            self._jobs = [making for making in self._jobs if not making.is_left]
            self._may_look = True

    def _claim_ahead(self) -> None:
        """Claim the job that is sampled after the one that is sampled now.

        Only jobs that are tried for the first time are made beside others: one that was tried before may have ended its
        process, and with each attempt it would cost the others one.
        """
        if any(making.is_tried_again for making in self._jobs):
            return
        sampled = sum(making.is_sampled for making in self._jobs)
        if not self._may_look or len(self._jobs) - sampled > 1 or sampled >= MOST_SAMPLED or not self._goes_on():
            return
        self._may_look = False
        try:
            if (job := _claimed(is_ahead=True)) is not None:
                self._begin(job)
        except DatabaseError:  # no reason to stop what is sampled
            logger.warning("no further job is begun: the database does not answer")
            connection.close()

    def _goes_on(self) -> bool:
        seconds = time.monotonic() - self._began
        if not overlaps() or seconds > MOST_SECONDS:
            return False
        return seconds < SECONDS_BESIDE_OTHERS or not are_others_due(GenerationJob)

    def _stop(self) -> None:
        """Give back what is not over, and wait for the other thread."""
        for making in self._jobs:
            try:
                making.running.give_back()
            except DatabaseError:  # the lease ends by itself
                logger.warning("a job is not given back: the database does not answer")
        for making in self._jobs:
            making.wait()


def _claimed(*, is_ahead: bool = False) -> GenerationJob | None:
    jobs = jobs_to_make()
    return claim(jobs.filter(attempt_count=0) if is_ahead else jobs, prefer=preferences())


def _answer(answer: "Future[Any]", question: Callable[[], Any]) -> None:
    try:
        answer.set_result(question())
    except Exception as error:
        answer.set_exception(error)


class _Making:
    """A job whose images are made. Everything except `_sample` and what it calls runs in the main thread."""

    def __init__(self, job: GenerationJob, row: _Row) -> None:
        self.running = RunningJob(job, before_end=row.give_back)
        self.is_sampled = False
        self._job, self._row = job, row
        self._missing: list[int] = []
        self._untaken = Semaphore(1)  # batches beside the one that is sampled
        self._sampling: Future[None] | None = None
        self._began = time.monotonic()
        with self.running.step():
            self._missing = prepared_seeds(job)
            if self._missing:
                self._prepare()
        if not self._missing:
            self.running.finish()

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, done or not."""
        return self.running.is_over

    @property
    def is_left(self) -> bool:
        """Whether the job has ended, and the other thread does nothing for it any more."""
        return self.is_over and self.is_sampled

    @property
    def is_tried_again(self) -> bool:
        """Whether this is not the job's first attempt."""
        return self._job.attempt_count > 1

    def begin(self, thread: ThreadPoolExecutor) -> None:
        """Let the images be sampled as soon as the thread is free."""
        self._sampling = thread.submit(self._sample)
        self._sampling.add_done_callback(lambda _: self._row.post(self._end_sampling))

    def keep(self) -> None:
        """Stop the job if it should stop. Waiting for its turn is no hanging: the job before has a lease of its own."""
        with self.running.step():
            if self.is_sampled:
                self.running.lease.obey()
            elif self._sampling and not self._sampling.running():
                self.running.lease.check()

    def wait(self) -> None:
        """Wait until the other thread has left the job."""
        if self._sampling and not self._sampling.cancel():
            self._end_broken()

    def _prepare(self) -> None:
        # Loads torch, which takes seconds: the job is claimed before, and counts as running meanwhile.
        from generation.sampling.sampling import batches_of, largest_batch

        image_set = self._job.image_set
        self.order = Order.of(image_set)
        # A batch that lacks an image is sampled whole, so that its pixels are those of the plan.
        self._batches = [batch for batch in batches_of(self._job.seeds) if not set(self._missing).isdisjoint(batch)]
        self._padded_to = largest_batch(image_set.seeds)
        refuse_too_large(self.order.diffusion_model.name)
        with self._device_faults():
            sinks = sinks_for(self._job)
        self._recorder = self.running.enter(Recorder(self._job, self._missing, sinks, on_written=self._post_record))

    def _sample(self) -> None:
        from generation.sampling import sampling

        with bound_contextvars(**self.running.log_fields):
            self._began = time.monotonic()
            self._check()
            for batch in sampling.sample_batches(
                self.order, self._batches, check=self._check, upcoming=self._upcoming, padded_to=self._padded_to
            ):
                while not self._untaken.acquire(timeout=1):
                    self._check_end()
                self._row.post(partial(self._take, batch))

    def _check(self) -> None:
        """Stop the sampling if the job is over or its lease lost. Called in the sampling thread, at every step."""
        self._check_end()
        self.running.lease.check()

    def _check_end(self) -> None:
        if self.is_over:
            raise Cancelled
        self.running.lease.obey()

    def _upcoming(self) -> Iterable[Order]:
        orders: list[Order] = self._row.ask(lambda: list(unfinished_orders(self.order.diffusion_model)), self._check)
        return orders

    def _take(self, batch: "Sequence[Sampled]") -> None:
        self._untaken.release()
        self._do(partial(self._recorder.take, batch))

    def _post_record(self) -> None:
        self._row.post(self._record)

    def _record(self) -> None:
        self._do(self._recorder.check)

    def _end_sampling(self) -> None:
        self.is_sampled = True
        if self.is_over:
            self._end_broken()
        self._do(self._note_sampled)

    def _end_broken(self) -> None:
        """End this process if a job that had already ended has broken the device by its sampling."""
        from generation.machines.devices import Fault, fault_of

        sampling, self._sampling = self._sampling, None
        if sampling and (error := sampling.exception()) and fault_of(error) is Fault.STICKY:
            with bound_contextvars(**self.running.log_fields):
                logger.error("the device is broken, so this process ends: %s", error)
                self.running.end_process()

    def _note_sampled(self) -> None:
        from generation.machines.devices import memory_in_use

        sampling, self._sampling = self._sampling, None
        if sampling and (error := sampling.exception()):
            del sampling  # its traceback keeps alive the tensors that filled the memory
            note_loaded(None)  # loading may have failed half-way
            raise error
        too_large.holds_other_work = True
        used, total = memory_in_use()
        note_work(model=self.order.diffusion_model.name, memory_used=used, memory_total=total)
        count, seconds = counted(len(self._missing), "image"), time.monotonic() - self._began
        logger.info("%s of %s in %.1f s (job %s)", count, self._job.image_set, seconds, self._job.pk)

    def _device_faults(self) -> AbstractContextManager[None]:
        return device_faults_of_a_part(self._job, owner=self.order.diffusion_model.name)

    def _do(self, part: Call) -> None:
        """Do a part of the job unless it is over, and finish the job if it was the last one."""
        if self.is_over:
            return
        with self.running.step(), self._device_faults():
            self.running.lease.note_step()
            part()
        if self.is_sampled and not self._recorder.is_busy:
            self.running.finish()
