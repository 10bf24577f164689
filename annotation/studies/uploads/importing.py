"""Import the files of an upload, by the same importers as the commands, as a job with progress.

The images of a study are imported set by set. After some seconds the job leaves the worker and continues after other
jobs, because the worker that imports also advances the studies.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from annotation.models import Study, Upload, UploadJob
from annotation.studies.current import current_manifest
from annotation.studies.imports.images_of_others import refuse_images_of_others, refuse_sets_of_others
from annotation.studies.imports.imported_images import image_names
from annotation.studies.imports.score_import import import_scores
from annotation.studies.lifecycle.pipeline_jobs import request_advance
from annotation.studies.nearest_names import did_you_mean, first_names
from annotation.studies.uploads.receiving import assembled, delete_files, folder_of
from annotation.voting.imports.vote_import import import_votes
from annotation.voting.imports.vote_line import Names
from generation.imports.archives import folder_around, unpack
from generation.imports.image_import import ImportOptions, import_layout
from generation.imports.layouts import Fault, Layout, PromptFiles, read_layout
from jobs.leases import Lease
from jobs.refusals import Refused, SetBack
from jobs.wording import counted
from jobs.work import NO_ROOM

TURN_SECONDS = 15.0  # of one import, before others get their turn
MOST_FAULTS = 200
GOES_ON = "It continues after the other jobs that are due."


def run_upload_job(job: UploadJob, lease: Lease) -> None:
    """Import the files of a claimed job, or some of them. A second run changes nothing that is imported."""
    upload = job.upload
    if not upload.is_stored:
        raise Refused("Its files are not there any more: upload them again.")
    try:
        outcome = IMPORTERS[upload.kind](upload, assembled(upload), _Turn(job, lease))
    except Refused as refusal:  # the sender knows the name of the file, and not the server's folders
        folder, cause = folder_of(upload), refusal.__cause__
        if isinstance(cause, OSError) and cause.errno in NO_ROOM:  # the job waits until there is room
            raise cause from None
        for unpacked in folder.glob("unpacked*"):  # no quota counts them
            shutil.rmtree(unpacked, ignore_errors=True)
        sentence = str(refusal)
        for ours in (folder / "whole", folder / "unpacked", folder):
            sentence = sentence.replace(f"{ours}/", "")
        raise Refused(sentence) from None
    _claimed(job).update(outcome=outcome, percent=100, step="")
    delete_files(upload)
    request_advance(upload.study)


def _claimed(job: UploadJob) -> Any:
    return UploadJob.objects.filter(pk=job.pk, claimed_by=job.claimed_by)


@dataclass(slots=True)
class _Turn:
    """The time of a job on the worker, and where it stands."""

    job: UploadJob
    lease: Lease
    began: float = field(default_factory=time.monotonic)

    def save(self, position: int, total: int, outcome: dict[str, Any]) -> None:
        """Store the progress. Raises LeaseLost or Cancelled if the work must stop, and SetBack after TURN_SECONDS."""
        self.lease.check()
        percent = round(100 * position / max(total, 1))
        step = f"{position} of {counted(total, 'set')}"
        _claimed(self.job).update(position=position, percent=percent, step=step, outcome=outcome)
        if position < total and time.monotonic() - self.began > TURN_SECONDS:
            raise SetBack(GOES_ON, pause=timedelta(0), is_counted=False)


# --- images -------------------------------------------------------------------------------------
def _images(upload: Upload, whole: Path, turn: _Turn) -> dict[str, Any]:
    """Import the images set by set, from where the last turn stopped."""
    study = upload.study
    if study.source != Study.Source.IMAGES or study.state not in Study.BEFORE_READY:
        raise Refused(f"{study} takes no images now: only a study of your own images takes them, until it is ready.")
    refuse_images_of_others(study, upload.account)
    layout = _of_study(read_layout(_unpacked(upload, whole), model=upload.options.get("model") or None), study)
    turn.job.refresh_from_db(fields=["position", "outcome"])
    outcome = turn.job.outcome or {"sets": 0, "images": 0, "unchanged": 0, "faults": _words(layout.strays)}
    total = len(layout.prompts)
    for position in range(turn.job.position, total):
        report = import_layout(Layout([layout.prompts[position]]), ImportOptions(processes=1))
        outcome["sets"] += report.imported_set_count
        outcome["images"] += report.imported_image_count
        outcome["unchanged"] += report.unchanged_set_count
        outcome["faults"] = [*outcome["faults"], *_words(report.faults)][:MOST_FAULTS]
        turn.save(position + 1, total, outcome)
    return outcome | {"summary": _summary(outcome)}


def _summary(outcome: dict[str, Any]) -> str:
    said = f"{counted(outcome['sets'], 'set')} with {counted(outcome['images'], 'image')} imported"
    return said + (f", {outcome['unchanged']} unchanged." if outcome["unchanged"] else ".")


def _words(faults: Iterable[Fault]) -> list[str]:
    return [str(fault) for fault in faults]


def _unpacked(upload: Upload, whole: Path) -> Path:
    """Return the folder of the images: of the zip file, unpacked, or of the files as they came."""
    paths = [str(file["path"]) for file in upload.files]
    if len(paths) > 1 or not paths[0].lower().endswith(".zip"):
        around = folder_around(paths)
        return whole / paths[0].split("/")[0] if around else whole
    target = folder_of(upload) / "unpacked"
    if not target.exists():
        part = target.with_name("unpacked.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        room = shutil.disk_usage(part).free - settings.UPLOAD_FREE_BYTES
        limits = {"most_bytes": settings.UPLOAD_MOST_BYTES, "most_file_bytes": settings.IMAGE_MOST_BYTES, "room": room}
        unpack(whole.joinpath(*paths[0].split("/")), part, name=paths[0], **limits)
        part.rename(target)
    return target


def _of_study(layout: Layout, study: Study) -> Layout:
    """Return the sets of the study's own models and prompts; the others are left out, with a sentence each."""
    known = image_names(current_manifest(study))
    kept, strays = list[PromptFiles](), list(layout.strays)
    for prompt in layout.prompts:
        reason = _reason_to_leave_out(prompt, known)
        if reason:
            strays.append(Fault(str(prompt), reason))
        else:
            kept.append(prompt)
    return replace(layout, prompts=kept, strays=strays)


def _reason_to_leave_out(prompt: PromptFiles, known: dict[str, set[str]]) -> str:
    if prompt.model not in known:
        return (
            f"belongs to no model of this study{did_you_mean(prompt.model, known)}; it has {first_names(list(known))}"
        )
    if prompt.prompt not in known[prompt.model]:
        return f"belongs to no prompt of this study{did_you_mean(prompt.prompt, known[prompt.model])}"
    return ""


# --- tables -------------------------------------------------------------------------------------
def _votes(upload: Upload, whole: Path, _turn: _Turn) -> dict[str, Any]:
    study, options = upload.study, upload.options
    names = Names(
        leaves_out_blank=bool(options.get("leave_out_blank_names")),
        prefix=str(options.get("prefix") or ""),
        are_known=bool(options.get("same_people")),
    )
    rules, path = current_manifest(study).voting_rules(), whole / upload.name
    done = import_votes(study=study, path=path, rules=rules, now=timezone.now(), names=names, actor=upload.account)
    people = counted(done.new_annotator_count, "new annotator")
    return {
        "summary": f"{counted(done.new_count, 'vote')} of {people} imported, {done.unchanged_count} stored already.",
        "faults": [],
    }


def _scores(upload: Upload, whole: Path, _turn: _Turn) -> dict[str, Any]:
    options = upload.options
    refuse_sets_of_others(upload.study, upload.account)
    done = import_scores(
        study=upload.study,
        path=whole / upload.name,
        metric=str(options.get("metric") or ""),
        higher_is_more_consistent=options.get("higher_is_more_consistent"),
        actor=upload.account,
    )
    stay = "stays" if len(done.missing) == 1 else "stay"
    missing = f" {counted(len(done.missing), 'comparison')} {stay} without a score." if done.missing else ""
    known = f"{done.unchanged_count} had these scores already."
    return {
        "summary": f"{done.metric}: {counted(done.new_count, 'comparison')} scored, {known}{missing}",
        "faults": [],
    }


IMPORTERS: dict[str, Callable[[Upload, Path, _Turn], dict[str, Any]]] = {
    Upload.Kind.IMAGES: _images,
    Upload.Kind.VOTES: _votes,
    Upload.Kind.SCORES: _scores,
}
