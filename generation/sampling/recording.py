"""Record the images of a batch while the next one is sampled.

Encoding, hashing and writing take about as long as sampling on a fast card, so a few threads do them. The main thread
commits the rows of a batch together, once all its files are written: a batch is recorded whole or not at all.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from django.db import transaction
from PIL import Image

from generation.models import GeneratedImage, GenerationJob
from generation.pictures import files, renditions
from generation.pictures.image_storage import Staged
from generation.recorded_images.lost_images import record_replacement
from generation.recorded_images.records import PreparedFile, image_folder, image_path, prepared, row_of
from jobs.leases import hold
from jobs.refusals import SetBack

if TYPE_CHECKING:
    from generation.sampling.sampling import Sampled

logger = logging.getLogger(__name__)

MOST_WAITING = 1  # batches beside the one that is sampled, whose pixels are in memory
MOST_THREADS = 4
PAUSE_WITHOUT_MEMORY = timedelta(minutes=1)


class Sink(Protocol):
    """Takes the pixels of finished batches. Generation does not know what for."""

    def prepare(self, pictures: Sequence[Image.Image]) -> Sequence[Any]:
        """Compute what `store` needs of each picture. Called in another thread, without the device or the database."""

    def store(self, images: Sequence[GeneratedImage], prepared: Sequence[Any]) -> None:
        """Store what was prepared, for images whose rows are committed. Called in the main thread."""


# What other packages do with the images of a job; asked for once for each job.
sink_makers: list[Callable[[GenerationJob], Sequence[Sink]]] = []


@contextmanager
def _memory_faults() -> Iterator[None]:
    """Set the job back if the machine's memory is full. The device's may have room: the model and the batch fit."""
    try:
        yield
    except MemoryError:
        sentence = "The memory of the worker's machine is full, so images were not written: end other programs there."
        raise SetBack(sentence, pause=PAUSE_WITHOUT_MEMORY) from None


@dataclass(frozen=True)
class _Files:
    """The written files of one image, which are deleted when `stack` is closed unless they were put."""

    seed: int
    provenance: dict[str, Any]
    image: PreparedFile
    renditions: Sequence[Staged]
    stack: ExitStack


@dataclass(frozen=True)
class _Batch:
    files: Sequence[Future[_Files]]
    prepared: Sequence[Future[Sequence[Any]]]  # one for each sink

    @property
    def futures(self) -> "list[Future[Any]]":
        """Everything that other threads do for the batch."""
        return [*self.files, *self.prepared]

    def is_done(self) -> bool:
        return all(future.done() for future in self.futures)

    def fault(self) -> BaseException | None:
        """Return why it cannot be recorded, if that is known already."""
        futures = (future for future in self.futures if future.done() and not future.cancelled())
        return next((error for future in futures if (error := future.exception())), None)

    def close(self) -> None:
        """Delete the temporary files that were not put."""
        for future in self.futures:
            future.cancel()
        for future in self.files:
            if not future.cancel() and future.exception() is None:
                future.result().stack.close()


class Recorder:
    """Records the batches of a job. Leaving the block early throws away what is not recorded yet.

    seeds: those that are recorded; a batch that is sampled whole again may hold others. on_written: called in another
    thread when `check` may have something to record.
    """

    def __init__(
        self,
        job: GenerationJob,
        seeds: Collection[int],
        sinks: Sequence[Sink] = (),
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        self._job = job
        self._image_set = job.image_set  # read here, because the threads have no database
        self._seeds = seeds
        self._sinks = sinks
        self._on_written = on_written
        self._waiting: deque[_Batch] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for batch in self._waiting:
            batch.close()

    def take(self, batch: "Sequence[Sampled]") -> None:
        """Begin to record a batch. It waits for the batch before, so that few are in memory."""
        while len(self._waiting) >= MOST_WAITING:
            self._record_first()
        wanted = [sampled for sampled in batch if sampled.seed in self._seeds]
        pool = _pool()
        taken = _Batch(
            [pool.submit(self._write, sampled) for sampled in wanted],
            [pool.submit(_prepared, sink, wanted) for sink in self._sinks],
        )
        self._waiting.append(taken)
        for future in taken.futures:
            future.add_done_callback(lambda _: self._on_written())

    @property
    def is_busy(self) -> bool:
        """Whether a batch is not recorded yet."""
        return bool(self._waiting)

    def check(self) -> None:
        """Record the batch that is ready, or raise why it cannot be."""
        if self._waiting and (fault := self._waiting[0].fault()):
            raise fault
        if self._waiting and self._waiting[0].is_done():
            self._record_first()

    def finish(self) -> None:
        """Record what was taken."""
        while self._waiting:
            self._record_first()

    @_memory_faults()
    def _write(self, sampled: "Sampled") -> _Files:
        """Encode an image and its renditions from its pixels, and write them under temporary names."""
        with ExitStack() as stack:
            image = stack.enter_context(prepared(image_path(self._image_set.uid, sampled.seed), sampled.image))
            places = renditions.paths(image.staged.path).items()
            smaller = [
                stack.enter_context(files.stage(path, renditions.encode(image.pixels, name), is_named_by_content=False))
                for name, path in places
            ]
            return _Files(sampled.seed, sampled.provenance, image, smaller, stack.pop_all())

    def _record_first(self) -> None:
        batch = self._waiting[0]
        written = [future.result() for future in batch.files]
        images = {image.seed: image for image in self._record(written)}
        for sink, future in zip(self._sinks, batch.prepared, strict=True):
            theirs = {one.seed: prepared for one, prepared in zip(written, future.result(), strict=True)}
            sink.store(list(images.values()), [theirs[seed] for seed in images])
        self._waiting.popleft()
        batch.close()

    def _record(self, written: Sequence[_Files]) -> list[GeneratedImage]:
        """Store the rows of a batch, give its files their names, and return its images, without those that were there.

        Raises LeaseLost if another worker has the job.
        """
        image_set = self._image_set
        with transaction.atomic():
            hold(self._job)
            present = {image.seed: image for image in image_set.images.filter(seed__in=[one.seed for one in written])}
            written = [one for one in written if one.seed not in present or not files.exists(present[one.seed].path)]
            new = [one for one in written if one.seed not in present]
            images = GeneratedImage.objects.bulk_create(
                row_of(one.image, image_set=image_set, seed=one.seed, provenance=one.provenance) for one in new
            )
            for one in new:
                one.image.staged.put()
            files.sync(image_folder(image_set.uid))
            again = [one for one in written if one.seed in present]
            images += [_replaced(present[one.seed], one) for one in again]
        for one in again:
            one.image.staged.put()
        if again:
            files.sync(image_folder(image_set.uid))
        for image in images:
            logger.info("image %s of seed %s is stored", image.pk, image.seed)
        # A worker that dies here leaves images without renditions, which the next attempt makes.
        for one in written:
            for rendition in one.renditions:
                rendition.put()
        for folder in {renditions.folder(image.path) for image in images}:
            files.sync(folder)
        return images


def _replaced(row: GeneratedImage, written: _Files) -> GeneratedImage:
    """Record a new file for an image whose file is lost; it is put after the commit."""
    image = written.image
    record_replacement(
        row,
        staged=image.staged,
        sha256=image.sha256,
        byte_count=image.byte_count,
        provenance=written.provenance,
    )
    return row


def sinks_for(job: GenerationJob) -> list[Sink]:
    """Return the sinks for the images of a job."""
    return [sink for make in sink_makers for sink in make(job)]


def thread_count() -> int:
    """Return how many threads write images: one core is left to the thread that samples."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) - 1))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="images")


@_memory_faults()
def _prepared(sink: Sink, sampled: "Sequence[Sampled]") -> Sequence[Any]:
    return sink.prepare([one.image for one in sampled])
