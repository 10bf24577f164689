"""The manifest in force of a study."""

from collections.abc import Iterable, Iterator
from threading import Lock

from cachetools import LRUCache

from annotation.models import ManifestVersion, Study
from annotation.studies.manifest import Manifest

# A parsed prompt takes half a kilobyte and more: room for the manifests of a thousand studies of a hundred prompts.
MOST_PROMPTS = 100_000
OTHER_KEYS = 20  # what the rest of a manifest takes, in prompts
Key = tuple[int, str]


def size_of(manifest: Manifest) -> int:
    """How much of the cache a manifest takes, in prompts."""
    return OTHER_KEYS + len(manifest.prompts) + len(manifest.seeds) // 10


# The hash names the content, so what is cached under it never goes stale, in whichever process.
_CACHE: LRUCache[Key, Manifest] = LRUCache(MOST_PROMPTS, getsizeof=size_of)
_LOCK = Lock()


def current_manifest(study: Study) -> Manifest:
    """The manifest of the version in force, parsed once per process and version while the cache has room for it."""
    return current_manifests([study])[study.pk]


def current_manifests(studies: Iterable[Study]) -> dict[int, Manifest]:
    """The manifests in force of several studies, by the study's id; at most one query."""
    keys = {study.pk: (study.pk, study.manifest_sha256) for study in studies}
    with _LOCK:
        found = {pk: manifest for pk, key in keys.items() if (manifest := _CACHE.get(key))}
    missing = [key for pk, key in keys.items() if pk not in found]
    for key, manifest in _parsed(missing):
        found[key[0]] = manifest
        if size_of(manifest) <= MOST_PROMPTS:
            with _LOCK:
                _CACHE[key] = manifest
    return found


def _parsed(keys: list[Key]) -> Iterator[tuple[Key, Manifest]]:
    if not keys:
        return
    versions = ManifestVersion.objects.filter(
        study__in=[pk for pk, _sha256 in keys], sha256__in=[sha256 for _pk, sha256 in keys]
    )
    wanted = set(keys)
    for version in versions.order_by("number").iterator(chunk_size=100):
        key = (version.study_id, version.sha256)
        if key in wanted:
            yield key, Manifest.model_validate(version.document)
