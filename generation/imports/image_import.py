"""Import images made elsewhere: all images of a prompt or none, after every file is checked.

The stored file is a lossless PNG of the decoded pixels, upright and in sRGB. Everything else in a file (metadata, a
second format hidden behind the first) is dropped. The original's hash, name and size are recorded.
Several processes read files; only this one writes rows, in one short transaction for each set.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from generation.imports.conversion import FileTask, ReadFile, Size, ignore_interrupts, prepare, written
from generation.imports.layouts import Fault, Layout, PromptFiles, shown
from generation.models import DiffusionModel, GeneratedImage, ImageSet
from generation.pictures import files as image_files
from generation.pictures import remarks as image_remarks
from generation.pictures import renditions
from generation.pictures.image_storage import ImageStorage
from generation.plans.image_sets import imported_uid, plan_imported_set
from generation.recorded_images.records import image_folder, image_path
from jobs.cores import core_count
from jobs.refusals import Refused
from jobs.whole_files import sweep_folder

# Fewer images are read faster in this process than other processes start.
FEW_IMAGES = 48
# Prompts are read ahead until they have this many images for each process.
AHEAD = 4
Read = ReadFile | str


@dataclass
class ImportReport:
    """The result of an import. A set is one model's images for one prompt."""

    imported_set_count: int = 0
    imported_image_count: int = 0
    unchanged_set_count: int = 0
    refused_set_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options of an import: the size to fit images to, the number of processes (None: one for each core), a callback.

    `advance` is called with the number of files done since its last call.
    """

    size: Size | None = None
    processes: int | None = None
    advance: Callable[[int], None] = lambda _count: None


def import_layout(layout: Layout, options: ImportOptions | None = None) -> ImportReport:
    """Import the images of a layout. Importing them again changes nothing.

    A prompt with a fault is left out as a whole, and the report lists its faults; the other prompts are imported.
    """
    options = options or ImportOptions()
    report = ImportReport(faults=list(layout.strays))
    waiting: deque[tuple[PromptFiles, list[Future[Read]]]] = deque()
    with _executor(layout, options) as (executor, ahead):
        try:
            for prompt in layout.prompts:
                waiting.append((prompt, _begin(prompt, executor, options)))
                while waiting and sum(len(files) for _, files in waiting) > ahead:
                    _finish(*waiting.popleft(), options, report)
            while waiting:
                _finish(*waiting.popleft(), options, report)
        except BrokenProcessPool:
            raise Refused(
                "A process that read images was killed, probably because the memory was full; what was imported stays. "
                "Run the same command again with --processes 1."
            ) from None
        finally:
            for _, files in waiting:
                _discard(files)
    return report


class _Here(Executor):
    """An executor that does the work at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        """Return a future with the outcome, like an executor of processes."""
        future: Future[Read] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@contextmanager
def _executor(layout: Layout, options: ImportOptions) -> Iterator[tuple[Executor, int]]:
    """Return the executor that reads files, and how many images it reads ahead."""
    image_count = sum(len(prompt.files) for prompt in layout.prompts)
    processes = options.processes or (core_count() if image_count > FEW_IMAGES else 1)
    if processes == 1:
        yield _Here(), 0
        return
    # Spawned, not forked: this process may hold threads and connections to the database.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=ignore_interrupts)
    try:
        yield pool, processes * AHEAD
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(prompt: PromptFiles, executor: Executor, options: ImportOptions) -> list[Future[Read]]:
    """Submit the files of a new set for reading; return nothing for a set that exists or has a fault."""
    if not prompt.files and not prompt.faults:
        prompt.faults.append(Fault(str(prompt), "holds no images"))
    if prompt.faults:
        return []
    uid = imported_uid(model=prompt.model, prompt=prompt.prompt)
    if ImageSet.objects.filter(uid=uid).exists():
        return []
    for folder in ("image_sets", "renditions"):
        sweep_folder(image_files.media_path(f"{folder}/{uid}"))
    return [
        executor.submit(prepare, _task(image_path(uid, seed), path, options)) for seed, path in prompt.files.items()
    ]


def _task(image: str, path: Path, options: ImportOptions) -> FileTask:
    return FileTask(
        path=path,
        target=image_files.media_path(image),
        renditions={name: image_files.media_path(place) for name, place in renditions.paths(image).items()},
        limits=image_files.limits(),
        size=options.size,
    )


def _finish(prompt: PromptFiles, files: list[Future[Read]], options: ImportOptions, report: ImportReport) -> None:
    try:
        if files:
            _store(prompt, _read(prompt, files, options), report)
        else:
            if not prompt.faults:
                _compare(prompt, options, report)
            options.advance(len(prompt.files))
    finally:
        _discard(files)
    if prompt.faults:
        report.refused_set_count += 1
        report.faults += prompt.faults


def _read(prompt: PromptFiles, files: list[Future[Read]], options: ImportOptions) -> dict[int, ReadFile]:
    """Return the files that were read, by seed; each refused file becomes a fault of the prompt."""
    read = {}
    for (seed, path), future in zip(prompt.files.items(), files, strict=True):
        outcome = future.result()
        options.advance(1)
        if isinstance(outcome, str):
            prompt.faults.append(Fault(f"{prompt}/{shown(path.name)}", outcome))
        else:
            read[seed] = outcome
    return read


def _discard(files: Sequence[Future[Read]]) -> None:
    """Delete the temporary files of a set that were not renamed."""
    for future in files:
        if not future.cancel() and future.exception() is None and isinstance(outcome := future.result(), ReadFile):
            outcome.discard()


def _store(prompt: PromptFiles, files: dict[int, ReadFile], report: ImportReport) -> None:
    """Store all images in one short transaction, or none if a file was refused."""
    if prompt.faults:
        return
    storage = image_files.storage()
    uid = imported_uid(model=prompt.model, prompt=prompt.prompt)
    paths = {seed: storage.path_of(image_path(uid, seed), file.sha256) for seed, file in files.items()}
    try:
        for seed, file in files.items():
            for part, path in zip(file.parts, _parts_paths(paths[seed]), strict=True):
                storage.before_rows(part, path)
        with transaction.atomic():
            image_set = _put(prompt, files, paths, storage)
    except (IntegrityError, FileNotFoundError):  # another process stored the rows, or deleted the temporary files
        prompt.faults.append(Fault(str(prompt), "is being imported by another process at this moment"))
        return
    for seed, file in files.items():
        for part, path in list(zip(file.parts, _parts_paths(paths[seed]), strict=True))[1:]:
            with suppress(FileNotFoundError):  # a missing rendition is made when it is first requested
                storage.after_rows(part, path)
    report.imported_set_count += 1
    report.imported_image_count += len(files)
    _remark(image_set, report)


def _parts_paths(image: str) -> list[str]:
    """Return the paths in the storage of an image and its renditions, in the order of the temporary files."""
    return [image, *renditions.paths(image).values()]


def _put(prompt: PromptFiles, files: dict[int, ReadFile], paths: dict[int, str], storage: ImageStorage) -> ImageSet:
    diffusion_model, _ = DiffusionModel.objects.get_or_create(name=prompt.model)
    image_set = plan_imported_set(diffusion_model=diffusion_model, prompt=prompt.prompt, seeds=sorted(files))
    if image_set.seeds != sorted(files):
        raise IntegrityError("another process planned this set")
    GeneratedImage.objects.bulk_create(
        GeneratedImage(
            image_set=image_set,
            seed=seed,
            path=paths[seed],
            sha256=files[seed].sha256,
            width=files[seed].size[0],
            height=files[seed].size[1],
            byte_count=files[seed].byte_count,
            provenance={"source": {"file": shown(prompt.files[seed].name), **files[seed].source}},
        )
        for seed in image_set.seeds
    )
    # After the rows, which block every other process that imports this set.
    for seed, file in files.items():
        storage.after_rows(file.parts[0], paths[seed])
    storage.sync(image_folder(image_set.uid))
    return image_set


def _compare(prompt: PromptFiles, options: ImportOptions, report: ImportReport) -> None:
    """Compare the files with an existing set: others are refused, because votes may depend on the existing images."""
    image_set = ImageSet.objects.get(uid=imported_uid(model=prompt.model, prompt=prompt.prompt))
    images = list(image_set.images.all())
    sources: dict[int, dict[str, Any]] = {image.seed: image.provenance.get("source", {}) for image in images}
    given = {seed: _sha256(path) for seed, path in prompt.files.items()}
    differing = sorted(
        seed for seed in sources.keys() | given.keys() if given.get(seed) != sources.get(seed, {}).get("sha256")
    )
    size = next((source.get("size") for source in sources.values()), None)
    if differing:
        reason = f"was imported before with other images (seed {differing[0]}, of {len(differing)}); those stay"
        prompt.faults.append(Fault(str(prompt), reason))
    elif size != (options.size and written(options.size)) and not all(_has(options.size, image) for image in images):
        before = f"with --size {size}" if size else "without --size"
        reason = f"was imported before {before}; those images stay until take_back_images removes them"
        prompt.faults.append(Fault(str(prompt), reason))
    else:
        renditions.mend(images)
        report.unchanged_set_count += 1
        _remark(image_set, report)


def _has(size: Size | None, image: GeneratedImage) -> bool:
    """Return whether the image already has this size."""
    return size == (image.width, image.height)


def _remark(image_set: ImageSet, report: ImportReport) -> None:
    this = ImageSet.objects.filter(pk=image_set.pk)
    image_remarks.note(this)
    report.remarks += image_remarks.sentences(this)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
