"""Import images made elsewhere: every file checked first, then all of a prompt or nothing of it.

What is stored is a loss-free PNG of the decoded pixels, upright and in sRGB: whatever else a file carried
(metadata, a second format hidden behind the first) stays outside. The original's hash, name and size are kept.
"""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from django.db import IntegrityError, transaction

from generation import renditions
from generation.image_files import media, read_image
from generation.image_layouts import Fault, PromptFiles, read_layout, shown
from generation.image_sets import (
    PreparedFile,
    image_path,
    imported_uid,
    plan_imported_set,
    prepared,
    put_image,
)
from generation.models import DiffusionModel, GeneratedImage, ImageSet
from generation.refusals import Refused
from generation.whole_files import sweep


@dataclass
class ImportReport:
    """What an import came to. A set is one model's images for one prompt."""

    imported_set_count: int = 0
    imported_image_count: int = 0
    unchanged_set_count: int = 0
    refused_set_count: int = 0
    faults: list[Fault] = field(default_factory=list)


def import_images(*, folder: Path, model: str | None = None) -> ImportReport:
    """Import a folder in one of the layouts of `image_layouts`. Doing it again changes nothing.

    A prompt with a fault is left out as a whole and its faults are in the report; the others are imported.
    Raises Refused where there is nothing to import.
    """
    layout = read_layout(folder, model=model)
    report = ImportReport(faults=layout.strays)
    for prompt in layout.prompts:
        _import_prompt(prompt, report)
    return report


def _import_prompt(prompt: PromptFiles, report: ImportReport) -> None:
    if not prompt.files and not prompt.faults:
        prompt.faults.append(Fault(str(prompt), "holds no images"))
    if not prompt.faults:
        uid = imported_uid(model=prompt.model, prompt=prompt.prompt)
        existing = ImageSet.objects.filter(uid=uid).first()
        if existing is None:
            _store(prompt, report)
        else:
            _compare(prompt, existing, report)
    if prompt.faults:
        report.refused_set_count += 1
        report.faults += prompt.faults


def _store(prompt: PromptFiles, report: ImportReport) -> None:
    """Check and encode every file, then put all in place in one short transaction."""
    with ExitStack() as parts:
        files = _prepare(prompt, parts)
        if prompt.faults:
            return
        try:
            with transaction.atomic():
                images = _put(prompt, files)
        except IntegrityError:
            prompt.faults.append(Fault(str(prompt), "is being imported by another process at this moment"))
            return
    for image in images:
        renditions.make(image)
    report.imported_set_count += 1
    report.imported_image_count += len(images)


def _prepare(prompt: PromptFiles, parts: ExitStack) -> dict[int, PreparedFile]:
    uid = imported_uid(model=prompt.model, prompt=prompt.prompt)
    files = {}
    for seed, path in prompt.files.items():
        target = media(image_path(uid, seed))
        sweep(target)
        try:
            files[seed] = parts.enter_context(prepared(target, read_image(path)))
        except Refused as refusal:
            prompt.faults.append(Fault(_where(prompt, path), str(refusal)))
    return files


def _put(prompt: PromptFiles, files: dict[int, PreparedFile]) -> Sequence[GeneratedImage]:
    diffusion_model, _ = DiffusionModel.objects.get_or_create(name=prompt.model)
    image_set = plan_imported_set(diffusion_model=diffusion_model, prompt=prompt.prompt, seeds=sorted(files))
    return [
        put_image(files[seed], image_set=image_set, seed=seed, provenance={"source": _source(prompt.files[seed])})
        for seed in image_set.seeds
    ]


def _compare(prompt: PromptFiles, existing: ImageSet, report: ImportReport) -> None:
    """The same files again change nothing; others are refused, for votes may rest on those that are here."""
    recorded = {image.seed: image.provenance.get("source", {}).get("sha256") for image in existing.images.all()}
    given = {seed: _source(path)["sha256"] for seed, path in prompt.files.items() if path.is_file()}
    differing = sorted(seed for seed in recorded.keys() | given.keys() if recorded.get(seed) != given.get(seed))
    if differing:
        reason = f"was imported before with other images (seed {differing[0]}, of {len(differing)}); those stay"
        prompt.faults.append(Fault(str(prompt), reason))
    else:
        for image in existing.images.all():
            renditions.mend(image)
        report.unchanged_set_count += 1


def _source(path: Path) -> dict[str, str | int]:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"file": shown(path.name), "sha256": sha256, "byte_count": path.stat().st_size}


def _where(prompt: PromptFiles, path: Path) -> str:
    return f"{prompt}/{shown(path.name)}"
