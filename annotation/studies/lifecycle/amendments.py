"""Change the manifest of a study: of a draft freely, later only the keys of a short list, as a new version."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.text import Truncator

from annotation.models import Comparison, ManifestVersion, Study, StudyEvent
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.documents import document, sha256
from annotation.studies.kept_apart import refuse_shared_prompts
from annotation.studies.lifecycle.creation import Actor, append_version, set_models
from annotation.studies.manifest import Manifest
from annotation.studies.section import Parts
from annotation.voting.slots import want_more
from annotation.voting.storage.slices import in_slices
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused

# Keys that may change after the launch: how many votes, when, by how many people, in which words, erased when.
AMENDABLE = (
    "notice",
    "annotation.overlap",
    "annotation.comparisons_per_annotator",
    "annotation.most_annotators",
    "annotation.opens_at",
    "annotation.closes_at",
    "texts.",
    "privacy",
)

# Of these keys the audit has the values: of no completion code, path, or name of a person.
SHOWN = ("name", "notice", "annotation", "texts", "frame", "quality", "privacy", "sealed", "pairs")
LONGEST_SHOWN = 200


def amend(*, study: Study, manifest: Manifest, reason: str = "", actor: Actor = None) -> ManifestVersion:
    """Replace the study's manifest, and return its new version.

    The only version of a draft is rewritten. Later a version is appended. It is then Refused if a key outside AMENDABLE
    changes, if the overlap goes down, if there is no reason, or if the study is closed. A larger overlap is stored in
    the comparisons in slices; if this process dies meanwhile, `advance` does the rest.
    """
    version = _amend(study, manifest, reason, actor)
    raise_overlaps(study, manifest.annotation.overlap)
    return version


def raise_overlaps(study: Study, overlap: int) -> int:
    """Raise the overlap of each comparison to that of the manifest; return how many comparisons had a smaller one."""
    below = Comparison.objects.filter(study=study, overlap__lt=overlap).order_by("pk")
    ids = list(below.values_list("pk", flat=True))
    in_slices(ids, partial(want_more, overlap))
    return len(ids)


@in_turn
def _amend(study: Study, manifest: Manifest, reason: str, actor: Actor) -> ManifestVersion:
    study = Study.objects.select_for_update().get(pk=study.pk)
    before, after = document(current_manifest(study)), document(manifest)
    changed = sorted(_differences(before, after, ""))
    if not changed:
        raise Refused(f"There is nothing to change: this is the manifest that {study} already has.")
    refuse_shared_prompts(study, manifest)
    if study.state == Study.State.DRAFT:
        version = _rewrite_draft(study, manifest, changed, actor)
        _record(study, changed, before, after, actor)
        return version
    _refuse_unamendable(study, manifest, changed)
    if not reason.strip():
        raise Refused("An amendment needs its reason: the report prints it.")
    version = append_version(study=study, manifest=manifest, reason=reason.strip(), actor=actor)
    Study.objects.filter(pk=study.pk).update(manifest_sha256=version.sha256)
    detail = {"changed": changed, "sha256": version.sha256, "reason": version.reason}
    StudyEvent.objects.create(study=study, verb="amended", detail=detail, actor=actor)
    _record(study, changed, before, after, actor)
    return version


def _record(study: Study, changed: list[str], before: Parts, after: Parts, actor: Actor) -> None:
    """Append the values to the audit; the events, which the report prints, name the keys."""
    values = ({key: _shown(key, plan) for key in changed} for plan in (before, after))
    record("settings changed", study=study, actor=actor, **dict(zip(("before", "after"), values, strict=True)))


def _shown(key: str, plan: Parts) -> str:
    """Return the value of a dotted key as the audit shows it, which viewers read."""
    if not key.startswith(SHOWN):
        return "not shown here"
    value: Any = plan
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return Truncator(_in_words(value)).chars(LONGEST_SHOWN)


def _in_words(value: Any) -> str:
    """Return a value of the study file without Python's marks; keys of a table without a value are left out."""
    if isinstance(value, Mapping):
        given = (f"{key} {_in_words(one)}" for key, one in value.items() if one is not None)
        return ", ".join(given) or "none"
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def _rewrite_draft(study: Study, manifest: Manifest, changed: list[str], actor: Actor) -> ManifestVersion:
    fixed = [key for key in changed if key in ("slug", "source")]
    if fixed:
        raise Refused(f"{' and '.join(fixed)} cannot change once the study is made; make another study.")
    set_models(study, manifest, is_draft=True)
    Study.objects.filter(pk=study.pk).update(
        name=manifest.name,
        manifest_sha256=sha256(manifest),
    )
    version = study.manifest_versions.get(number=1)
    version.document, version.sha256 = document(manifest), sha256(manifest)
    version.created_at = timezone.now()  # the date of the new text
    version.save(update_fields=["document", "sha256", "created_at"])
    StudyEvent.objects.create(study=study, verb="redrafted", detail={"changed": changed}, actor=actor)
    return version


def _refuse_unamendable(study: Study, manifest: Manifest, changed: list[str]) -> None:
    if study.is_over:
        raise Refused(f"{study} is closed, and a closed study does not change. Duplicate the study to go on.")
    beyond = [key for key in changed if not key.startswith(AMENDABLE)]
    if beyond:
        raise Refused(
            f"{', '.join(beyond)} cannot change any more: an amendment may raise the overlap and change quotas, "
            "dates, texts, the notice and when personal data is erased. Duplicate the study for anything else."
        )
    if manifest.annotation.stop_when_decided and "annotation.overlap" in changed:
        raise Refused(
            "annotation.overlap cannot change in a study that stops when its claim is decided: its evidence rests on "
            "comparisons that are complete."
        )
    before, after = current_manifest(study).annotation.overlap, manifest.annotation.overlap
    if after < before:
        raise Refused(f"annotation.overlap can only go up: votes for {before} are being collected, not {after}.")


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    """Yield the dotted keys at which two documents differ. A list counts as one value."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if before != after:
            yield path
        return
    for key in before.keys() | after.keys():
        yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
