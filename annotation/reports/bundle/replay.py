"""The replay bundle: an archive of everything that goes into a report. Write one; compute the report again from it."""

import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from annotation.models import ReplayBundle, Study
from annotation.reports.bundle.archive import (
    INDEX,
    Archive,
    Contents,
    canonical_json,
    open_archive,
    write_index,
    write_member,
)
from annotation.reports.bundle.embedding_files import (
    Rescored,
    embedding_files,
    encoders_of,
    image_hashes,
    rescored,
)
from annotation.reports.bundle.study_files import from_files, to_files
from annotation.reports.bundle.validation import validate
from annotation.reports.data.gathering import gather
from annotation.reports.data.study_data import ManifestRow, UnsealedData
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import as_document
from annotation.reports.progress import GATHERING, Progress, silent
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from annotation.studies.documents import lacks_codes, public
from annotation.studies.manifest import Manifest
from generation.tables.json_text import parse_json
from jobs.refusals import Refused

KIND, VERSION = "semblance replay bundle", 1
MOST_FAULTS_SHOWN = 5
SOFTWARE = "software.json"
_PACKAGES = ("semblance", "numpy", "scipy", "pyarrow", "django")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written. sha256: of its index; replaces: of the index of its predecessor, empty without one."""

    sha256: str
    votes: int
    members: int
    replaces: str


@dataclass(frozen=True, slots=True)
class Replay:
    """A bundle that was read and is whole: its data, the SHA-256 of its index, its number of members.

    replaces: the SHA-256 of the index of its predecessor, empty without one. rescored: the scores computed again, by
    metric; empty if the bundle holds no embeddings of the reported metric. images: the SHA-256 of each embedded image.
    """

    data: UnsealedData
    sha256: str
    member_count: int
    replaces: str
    rescored: dict[str, Rescored]
    images: frozenset[str] = frozenset()


def write_bundle(
    study: Study, path: Path, *, metric: str = "", replaces: Path | None = None, progress: Progress = silent
) -> Bundle:
    """Write the study's bundle to `path`: the same study gives the same bytes.

    It names the bundle before it by its hash if that held something else (before a withdrawal, for example): the latest
    one that was written here, or `replaces`, a file written elsewhere.
    Raises Refused while the study is sealed, and for a `replaces` that is not a bundle of this study.
    """
    progress(0.0, GATHERING)
    data = gather(study, manifest=current_manifest(study), metric=metric)
    if not isinstance(data, UnsealedData):
        raise Refused(f"{study} is sealed until it closes: a bundle holds scores and winners.")
    members = list(_members(study, data))
    with ZipFile(path, "w") as file:
        entries = {}
        for done, (name, contents) in enumerate(members):
            progress(done / len(members), f"writing {name}"[:100])
            entries[name] = write_member(file, name, contents)
        row = _row(study, data.metric, entries, replaces)
        index = {
            "kind": KIND,
            "version": VERSION,
            "study": study.slug,
            "metric": data.metric,
            "manifest_in_force": _in_force(study),
            "replaces": row.replaces or None,
            "tombstones": [as_document(tombstone) for tombstone in data.tombstones],
            "members": entries,
        }
        row.sha256 = write_index(file, index)
    if not study.replay_bundles.filter(sha256=row.sha256).exists():
        row.save()
    return Bundle(row.sha256, len(data.votes), len(members), row.replaces)


def replay(path: Path) -> Replay:
    """Return the data of a bundle, without a database.

    Raises Refused for a file that is damaged, changed (naming each changed member), or of another version.
    """
    with open_archive(path) as archive:
        _refuse_changed(archive)
        try:
            data = _data(archive)
            validate(data)
            again, images = _rescored(archive, data), _images(archive)
        except Refused:
            raise
        except Exception as error:  # a foreign file may have new hashes and hold anything
            raise Refused(f"{path} does not hold what this version of the program reads: {_reason(error)}.") from error
        return Replay(data, archive.sha256, len(archive.names), str(archive.index.get("replaces") or ""), again, images)


def replayed_report(replayed: Replay, path: Path) -> AgreementReport:
    """Compute the report of a bundle. Raises Refused if that fails: it is the file's fault, not a formula's."""
    try:
        return build_report(replayed.data)
    except (
        Exception
    ) as error:  # values that are each possible may contradict each other in ways that `validation` does not test
        raise Refused(f"{path} holds data that no report can be made from: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    named = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return (named.strip() or type(error).__name__).splitlines()[0][:200]


# --- writing ------------------------------------------------------------------------------------
def _members(study: Study, data: UnsealedData) -> Iterator[tuple[str, Contents]]:
    for row in study.manifest_versions.order_by("number"):
        yield _manifest_name(row.number), canonical_json(public(row.document))
    yield from to_files(data).items()
    encoders = encoders_of(study)
    for number, encoder in enumerate(encoders, start=1):
        yield from embedding_files(study, encoder, f"embeddings/{number}")
    described = [
        {"files": f"embeddings/{number}", "identity": row.identity, "fingerprint": row.fingerprint}
        | {"provenance": row.provenance}
        for number, row in enumerate(encoders, start=1)
    ]
    yield SOFTWARE, canonical_json({**_software(), "encoders": described})


def _in_force(study: Study) -> int:
    return study.manifest_versions.filter(sha256=study.manifest_sha256).latest("number").number


def _manifest_name(number: int) -> str:
    return f"manifests/{number}.json"


def _row(study: Study, metric: str, entries: dict[str, dict[str, Any]], replaces: Path | None) -> ReplayBundle:
    """Return the new row of a bundle with these members; its index has no hash yet."""
    contents_sha256 = hashlib.sha256(canonical_json(entries)).hexdigest()
    latest = study.replay_bundles.filter(metric=metric).last()
    if replaces:
        former = _hash_of(replaces, study.slug)
    elif latest is None:
        former = ""
    else:  # the same bundle once more, or its successor
        former = latest.replaces if latest.contents_sha256 == contents_sha256 else latest.sha256
    return ReplayBundle(study=study, metric=metric, contents_sha256=contents_sha256, replaces=former)


def _hash_of(path: Path, slug: str) -> str:
    with open_archive(path) as archive:
        if archive.index.get("study") != slug:
            raise Refused(f"{path} is not a bundle of {slug}: it cannot be replaced by one.")
        return archive.sha256


def _software() -> dict[str, Any]:
    return {"python": platform.python_version(), "packages": {name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


# --- reading ------------------------------------------------------------------------------------
def _refuse_changed(archive: Archive) -> None:
    if archive.index.get("kind") != KIND:
        raise Refused(f"{archive.path} is not a replay bundle: its {INDEX} does not say that it is one.")
    if archive.index.get("version") != VERSION:
        version = str(archive.index.get("version"))[:20]
        raise Refused(f"{archive.path} has version {version}; this program reads {VERSION}.")
    if faults := archive.faults():
        more = f"; and {len(faults) - MOST_FAULTS_SHOWN} more" if len(faults) > MOST_FAULTS_SHOWN else ""
        raise Refused(
            f"{archive.path} was changed, so no report is computed from it: "
            f"{'; '.join(faults[:MOST_FAULTS_SHOWN])}{more} "
            f"({len(archive.names)} members checked)."
        )


def _data(archive: Archive) -> UnsealedData:
    raw = archive.read(_manifest_name(archive.index["manifest_in_force"]))
    data = from_files(archive.read, Manifest.model_validate(parse_json(raw)))
    _refuse_other_manifests(archive, data.manifest_versions)
    return data


def _refuse_other_manifests(archive: Archive, versions: tuple[ManifestRow, ...]) -> None:
    """Refuse a bundle in which a manifest and its entry were changed together: the hash of its bytes then differs.

    If completion codes were left out, only the published hash of the index vouches for the rest of the manifest.
    """
    listed: dict[str, dict[str, str]] = archive.index["members"]
    for row in versions:
        name = _manifest_name(row.number)
        if listed[name]["sha256"] != row.sha256 and not lacks_codes(parse_json(archive.read(name))):
            raise Refused(
                f"{archive.path}: version {row.number} of the manifest is not the one with hash {row.sha256}."
            )


def _rescored(archive: Archive, data: UnsealedData) -> dict[str, Rescored]:
    encoders = parse_json(archive.read(SOFTWARE))["encoders"]
    files = {f"scs/{row['identity']}": row["files"] for row in encoders}
    if data.metric not in files:
        return {}
    stem = files[data.metric]
    with archive.stream(f"{stem}.npy") as vectors:
        return {data.metric: rescored(archive.read(f"{stem}.csv"), vectors, data.comparisons)}


def _images(archive: Archive) -> frozenset[str]:
    tables = [name for name in archive.names if name.startswith("embeddings/") and name.endswith(".csv")]
    return frozenset(sha256 for name in tables for sha256 in image_hashes(archive.read(name)))
